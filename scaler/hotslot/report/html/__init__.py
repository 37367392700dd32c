"""Reports for a browser and for mail: templates that escape whatever they are given."""
