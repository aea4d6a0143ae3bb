-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_refused_commands ---------------------------------------------------

-- Redis 8 answers only if the command takes as many arguments as are given. One to four arguments
-- suit every command that clients ask about, except TIME, which takes none.
local function may_run(command, key)
  local check = redis.acl_check_cmd
  local answered, allowed = pcall(check, command, key)
  if not answered then answered, allowed = pcall(check, command, key, '0') end
  if not answered then answered, allowed = pcall(check, command, key, '0', '0') end
  if not answered then answered, allowed = pcall(check, command, key, '0', '0', '0') end
  if not answered then return check(command) end
  return allowed
end

-- Returns the commands of ARGV that the caller's ACL user may not run on the key KEYS[1]. A
-- function runs its commands in its caller's name, so a command that is refused ends the function
-- in the middle.
redis.register_function{
  function_name = 'ffgrant_refused_commands',
  callback = function(keys, args)
    if not call then fetch_globals() end
    local refused = {}
    for i = 1, #args do
      if not may_run(args[i], keys[1]) then refused[#refused + 1] = args[i] end
    end
    return refused
  end,
  flags = { 'no-writes' }
}
