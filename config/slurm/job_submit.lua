-- hotslot: one job a worker. Adds gres/vm:1, of which each worker node has one, to every job of
-- hotslot's partitions, so that users add nothing. For JobSubmitPlugins=all_partitions,lua.
-- A site that has a job_submit.lua already calls hotslot.submit and hotslot.modify from its own.

local PARTITIONS = { "host1" } -- the partitions of hotslot's workers; all others are left alone
local VM = "gres/vm:1"

local hotslot = {}

-- Is any partition of a comma-separated list hotslot's? A job that names one of ours and one of
-- others gets the GRES, too: then it waits for a worker, but two jobs never share one.
local function ours(partitions)
   for named in string.gmatch(partitions or "", "[^,%s]+") do
      for _, known in ipairs(PARTITIONS) do
         if named == known then return true end
      end
   end
   return false
end

local function default_partition(part_list)
   for name, partition in pairs(part_list or {}) do
      if partition.flag_default == 1 then return name end
   end
   return ""
end

-- The GRES of a job without gres/vm, whatever count somebody wrote behind it; "" if none is left.
local function without_vm(gres)
   local kept = {}
   for one in string.gmatch(gres or "", "[^,]+") do
      local name = string.match(one, "^gres[/:]([^:=,]*)") or string.match(one, "^([^:=]*)")
      if name ~= "vm" and name ~= "" then table.insert(kept, one) end
   end
   return table.concat(kept, ",")
end

local function with_vm(gres)
   local others = without_vm(gres)
   return others == "" and VM or (others .. "," .. VM)
end

-- Slurm copies a job's GRES to each of its steps, and gres/vm can be in one step at a time only:
-- steps that a batch script starts side by side would run one after the other. A job that has
-- no other GRES gets SLURM_STEP_GRES=none, which srun reads. SLURM_HOTSLOT_STEP_GRES marks it as
-- ours, so that it can be taken back ("" is as good as unset) in a job that a job submits.
local function free_the_steps(job, managed)
   if job.script == nil then return end -- only a batch job's environment can be reached
   local environment = job.environment
   local marked = environment["SLURM_HOTSLOT_STEP_GRES"] == "none"
   local present = environment["SLURM_STEP_GRES"]
   local others = without_vm(job.tres_per_node)
   for _, field in ipairs({ "tres_per_job", "tres_per_task", "tres_per_socket" }) do
      others = others .. (string.find(job[field] or "", "gres") and job[field] or "")
   end
   if managed and others == "" then
      if present == nil or present == "" then
         environment["SLURM_STEP_GRES"] = "none"
         environment["SLURM_HOTSLOT_STEP_GRES"] = "none"
      end
   elseif marked and present == "none" then
      environment["SLURM_STEP_GRES"] = ""
      environment["SLURM_HOTSLOT_STEP_GRES"] = ""
   end
end

function hotslot.submit(job, part_list)
   local named = job.partition
   if named == nil or named == "" then named = default_partition(part_list) end
   local managed = ours(named)
   if managed then job.tres_per_node = with_vm(job.tres_per_node) end
   free_the_steps(job, managed)
end

-- A pending job that gets other GRES, or moves to another partition, keeps the rule.
function hotslot.modify(job, record)
   local given, moved = job.tres_per_node, job.partition
   if record.job_state ~= 0 or (given == nil and moved == nil) then return end
   local before = given
   if before == nil then before = record.tres_per_node end
   if ours(moved or record.partition) then
      local after = with_vm(before)
      if after ~= before or given ~= nil then job.tres_per_node = after end
   elseif given == nil and without_vm(before) ~= (before or "") then
      -- "gres/" is how scontrol says "none".
      local left = without_vm(before)
      job.tres_per_node = left == "" and "gres/" or left
   end
end

-- An error in here must not stop anybody's job: it is logged, and the job goes on as it came.
local function guarded(what, work, ...)
   local ok, problem = pcall(work, ...)
   if not ok then slurm.log_error("hotslot: %s: %s", what, tostring(problem)) end
   return slurm.SUCCESS
end

function slurm_job_submit(job_desc, part_list, submit_uid)
   return guarded("job_submit.lua, submit", hotslot.submit, job_desc, part_list)
end

function slurm_job_modify(job_desc, job_rec, part_list, modify_uid)
   return guarded("job_submit.lua, modify", hotslot.modify, job_desc, job_rec)
end

slurm.log_info("hotslot: one job a worker in %s", table.concat(PARTITIONS, ","))
return slurm.SUCCESS
