# The configuration as the packages install it: the example's workers are comments, so that neither
# the agent nor `hotslot check` takes them for this host's.
/^workers:$/ { print "workers: []"; print "# workers:"; example = 1; next }
example && /^ / { print "#" $0; next }
{ example = 0; print }
