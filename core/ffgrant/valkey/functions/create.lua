-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_create_execution -----------------------------------------------------

local MAX_CAPABILITY_BYTES = 4096
local MAX_CAPABILITY_TOKENS = 256

-- Returns the policy's required capabilities as sorted CSV, which is '' if there are none. Returns
-- nil and the rejection if the policy's JSON or its requirements are malformed, or the requirements
-- too large, because such a policy must not count as one that every worker meets.
local function required_capabilities(policy_json)
  if not is_set(policy_json) or policy_json == '{}' then return '' end
  local decoded, policy = pcall(cjson.decode, policy_json)
  if not decoded then return nil, { 0, 'invalid_policy_json', 'malformed' } end
  local routing
  if type(policy) == 'table' then routing = policy.routing_requirements end
  if routing == nil then return '' end
  if type(routing) ~= 'table' then
    return nil, { 0, 'invalid_policy_json', 'routing_requirements:not_object' }
  end
  local required = routing.required_capabilities
  if required == nil then return '' end
  local function refuse(what) return nil, { 0, 'invalid_capabilities', 'required:' .. what } end
  if type(required) ~= 'table' then return refuse('not_array') end
  local tokens = {}
  for i = 1, #required do
    local token = required[i]
    if type(token) ~= 'string' then return refuse('non_string_token') end
    if token == '' then return refuse('empty_token') end
    if find(token, ',', 1, true) then return refuse('comma_in_token') end
    if find(token, '[%z\1-\32\127]') then return refuse('control_or_whitespace') end
    tokens[i] = token
  end
  if #tokens > MAX_CAPABILITY_TOKENS then return refuse('too_many_tokens') end
  sort(tokens)
  local csv = concat(tokens, ',')
  if #csv > MAX_CAPABILITY_BYTES then return refuse('too_many_bytes') end
  return csv
end

-- Returns what is stored for a tag: its value as text, or as JSON if it is an array or object. An
-- array or object that can't be written as JSON again, for example because it holds the number
-- 1e999, becomes an empty text.
local function text_of_tag(value)
  if type(value) ~= 'table' then return tostring(value) end
  local encoded, json = pcall(cjson.encode, value)
  return encoded and json or ''
end

-- Returns the tags as a list of names and values. A text that is no JSON object or array holds no
-- tags.
local function tags_of(tags_json)
  local list = {}
  if not is_set(tags_json) or tags_json == '{}' then return list end
  local decoded, tags = pcall(cjson.decode, tags_json)
  if decoded and type(tags) == 'table' then
    for name, value in pairs(tags) do
      list[#list + 1] = tostring(name)
      list[#list + 1] = text_of_tag(value)
    end
  end
  return list
end

register('ffgrant_create_execution', 8, 13, function(keys, args)
  local core_key, idempotency_key = keys[1], keys[6]
  local id, lane, policy_json, delay_text = args[1], args[3], args[7], args[9]

  local priority, rejection = number_of(args[5], 'priority')
  if rejection then return rejection end
  if priority ~= priority then return invalid('priority must be a number, got: ' .. args[5]) end
  if priority < 0 then priority = 0 elseif priority > 9000 then priority = 9000 end
  local delay_until, deadline, dedup_ttl
  if is_set(delay_text) then
    delay_until, rejection = time_of(delay_text, 'delay_until')
    if rejection then return rejection end
  end
  if is_set(args[12]) then
    deadline, rejection = time_of(args[12], 'execution_deadline_at')
    if rejection then return rejection end
  end
  if tonumber(args[10]) then
    dedup_ttl, rejection = milliseconds_of(args[10], 'dedup_ttl_ms')
    if rejection then return rejection end
  end

  local now, now_text = clock()
  local idempotent = idempotency_key ~= '' and not find(idempotency_key, 'ff:noop:', 1, true)
  if idempotent then
    local existing = call('GET', idempotency_key)
    if existing then return { 1, 'DUPLICATE', existing } end
  end
  if call('EXISTS', core_key) == 1 then return { 1, 'DUPLICATE', id } end
  local required
  required, rejection = required_capabilities(policy_json)
  if rejection then return rejection end
  local tags = tags_of(args[11])

  local eligibility, reason, detail, state = 'eligible_now', 'waiting_for_worker', '', 'waiting'
  local delayed = delay_until and delay_until > now
  if delayed then
    eligibility, reason, state = 'not_eligible_until_time', 'waiting_for_delay', 'delayed'
    detail = 'delayed until ' .. delay_text
  end

  -- The server keeps a small hash as a list, which it searches from the front. So the fields that
  -- every claim reads and writes come first.
  call('HSET', core_key,
    'lifecycle_phase', 'runnable',
    'ownership_state', 'unowned',
    'eligibility_state', eligibility,
    'attempt_state', 'pending_first_attempt',
    'terminal_outcome', 'none',
    'current_lease_epoch', '0',
    'total_attempt_count', '0',
    'started_at', '',
    'blocking_reason', reason,
    'blocking_detail', detail,
    'public_state', state,
    'current_attempt_index', '',
    'current_attempt_id', '',
    'current_lease_id', '',
    'current_worker_id', '',
    'current_worker_instance_id', '',
    'current_lane', lane,
    'lease_acquired_at', '',
    'lease_expires_at', '',
    'lease_last_renewed_at', '',
    'lease_renewal_deadline', '',
    'last_transition_at', now_text,
    'last_mutation_at', now_text,
    'lease_expired_at', '',
    'lease_revoked_at', '',
    'lease_revoke_reason', '',
    'completed_at', '',
    'priority', priority,
    'created_at', now_text,
    'pending_retry_reason', '',
    'pending_replay_reason', '',
    'pending_replay_requested_by', '',
    'pending_previous_attempt_index', '',
    'lease_reclaim_count', '0',
    'flow_id', '',
    'delay_until', delayed and delay_text or '',
    'current_suspension_id', '',
    'current_waitpoint_id', '',
    'execution_id', id,
    'namespace', args[2],
    'lane_id', lane,
    'execution_kind', args[4],
    'partition_id', args[13],
    'creator_identity', args[6],
    'retry_count', '0',
    'replay_count', '0',
    'progress_pct', '',
    'progress_message', '',
    'progress_updated_at', '')
  if required ~= '' then call('HSET', core_key, 'required_capabilities', required) end
  if is_set(args[8]) then call('SET', keys[2], args[8]) end
  if is_set(policy_json) then call('SET', keys[3], policy_json) end
  for i = 1, #tags, 2 do call('HSET', keys[4], tags[i], tags[i + 1]) end
  call('ZADD', keys[5], delayed and delay_until or eligible_score(priority, now), id)
  call('SADD', keys[8], id)
  if deadline then call('ZADD', keys[7], deadline, id) end
  if idempotent and dedup_ttl and dedup_ttl > 0 then
    call('SET', idempotency_key, id, 'PX', dedup_ttl)
  end
  return { 1, 'OK', id, state }
end)
