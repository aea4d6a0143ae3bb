-- SPDX-License-Identifier: Apache-2.0

-- ---- ffgrant_issue_claim_grant, ffgrant_issue_reclaim_grant ------------------------------

-- Returns the number of tokens in `csv`; empty tokens don't count.
local function token_count(csv)
  local _, count = gsub(csv, '[^,]+', '')
  return count
end

-- A text of at most this many bytes can't hold too many tokens.
local ALWAYS_FEW_ENOUGH = 2 * MAX_CAPABILITY_TOKENS

-- Returns the rejection if `csv` breaks a limit.
local function check_capabilities(csv, whose)
  if #csv <= ALWAYS_FEW_ENOUGH then return nil end
  if #csv > MAX_CAPABILITY_BYTES then
    return { 0, 'invalid_capabilities', whose .. ':too_many_bytes' }
  end
  if token_count(csv) > MAX_CAPABILITY_TOKENS then
    return { 0, 'invalid_capabilities', whose .. ':too_many_tokens' }
  end
end

-- Returns the tokens of `required` that `offered` lacks, as sorted CSV, each once.
local function missing_capabilities(required, offered)
  offered = ',' .. offered .. ','
  local missing, seen = {}, {}
  for token in gmatch(required, '[^,]+') do
    if not seen[token] and not find(offered, ',' .. token .. ',', 1, true) then
      missing[#missing + 1] = token
    end
    seen[token] = true
  end
  sort(missing)
  return concat(missing, ',')
end

-- Returns the rejection if a worker that offers `offered` must not have the execution. The time of
-- a mismatch is stored, so that operators can find executions that wait in vain for a worker.
local function check_worker(core_key, required, offered, now_text)
  if not required and #offered <= ALWAYS_FEW_ENOUGH then return nil end
  required = required or ''
  local rejection = check_capabilities(required, 'required') or
      check_capabilities(offered, 'worker')
  if rejection or required == '' then return rejection end
  local missing = missing_capabilities(required, offered)
  if missing == '' then return nil end
  call('HSET', core_key, 'last_capability_mismatch_at', now_text)
  return { 0, 'capability_mismatch', missing }
end

-- Writes the grant that ARGV describe, and returns the grant's expiry.
local function write_grant(grant_key, args, ttl, now, now_text)
  local expires_at = time_digits(now + ttl)
  -- If the ttl is not positive, the command that sets the expiry would delete the grant at once.
  if ttl <= 0 then return expires_at end
  call('HSET', grant_key,
    'worker_id', args[2],
    'worker_instance_id', args[3],
    'lane_id', args[4],
    'capability_hash', args[5],
    'route_snapshot_json', args[7] or '',
    'admission_summary', args[8] or '',
    'created_at', now_text,
    'grant_expires_at', expires_at)
  call('PEXPIREAT', grant_key, expires_at)
  return expires_at
end

register('ffgrant_issue_claim_grant', 3, 6, function(keys, args)
  local ttl, rejection = milliseconds_of(args[6], 'grant_ttl_ms')
  if rejection then return rejection end
  local core_key, id = keys[1], args[1]
  local now, now_text = clock()

  local core = call('HMGET', core_key,
    'lifecycle_phase', 'eligibility_state', 'required_capabilities')
  if core[1] ~= 'runnable' or core[2] ~= 'eligible_now' then
    if call('EXISTS', core_key) == 0 then return { 0, 'execution_not_found' } end
    return { 0, 'execution_not_eligible' }
  end
  if call('EXISTS', keys[2]) == 1 then return { 0, 'grant_already_exists' } end
  if not call('ZSCORE', keys[3], id) then return { 0, 'execution_not_in_eligible_set' } end
  rejection = check_worker(core_key, core[3], args[9] or '', now_text)
  if rejection then return rejection end

  -- The execution stays in the eligible set until a claim takes it out. So if the grant expires,
  -- the next scheduler finds the execution there.
  write_grant(keys[2], args, ttl, now, now_text)
  return { 1, 'OK', id }
end)

-- Returns the rejection if an execution can't be reclaimed.
local function check_reclaimable(core_key, phase, ownership)
  if phase == 'active' and
      (ownership == 'lease_expired_reclaimable' or ownership == 'lease_revoked') then
    return nil
  end
  if call('EXISTS', core_key) == 0 then return { 0, 'execution_not_found' } end
  return { 0, 'execution_not_reclaimable' }
end

register('ffgrant_issue_reclaim_grant', 3, 6, function(keys, args)
  local ttl, rejection = milliseconds_of(args[6], 'grant_ttl_ms')
  if rejection then return rejection end
  local core_key = keys[1]
  local now, now_text = clock()

  local core = call('HMGET', core_key,
    'lifecycle_phase', 'ownership_state', 'required_capabilities')
  rejection = check_reclaimable(core_key, core[1], core[2])
  if rejection then return rejection end
  if call('EXISTS', keys[2]) == 1 then return { 0, 'grant_already_exists' } end
  rejection = check_worker(core_key, core[3], args[9] or '', now_text)
  if rejection then return rejection end

  return { 1, 'OK', args[1], write_grant(keys[2], args, ttl, now, now_text) }
end)
