-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_refused_commands ---------------------------------------------------

-- Those of the commands ARGV that the caller's ACL user may not run on the key
-- KEYS[1]. A function runs its commands in its caller's name: one that is refused
-- ends it in the middle.
redis.register_function{
  function_name = 'ffgrant_refused_commands',
  callback = function(keys, args)
    local refused = {}
    for i = 1, #args do
      if not redis.acl_check_cmd(args[i], keys[1]) then refused[#refused + 1] = args[i] end
    end
    return refused
  end,
  flags = { 'no-writes' }
}
