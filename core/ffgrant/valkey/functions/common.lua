#!lua name=ffgrant
-- SPDX-License-Identifier: Apache-2.0
--
-- This library offers the claim path as server functions. KEYS, ARGV, replies and stored state are
-- those of FlowFabric's library (README.md here has the table). The source text is our own, and so
-- are the names: FlowFabric's ff_x is ffgrant_x here. Function names are unique on a server, so a
-- library that took ff_x or ff_version would keep FlowFabric's own library out.
--
-- The parts are joined in the order of parts.txt, so each part sees the locals of the parts before
-- it.
--
-- Two rules hold: every check comes before the first write, and where possible a hash is read with
-- one HMGET and written with one HSET.

-- our own version number; function_library.h has the same number
local LIBRARY_VERSION = '5'

-- The sum of now and MAX_TTL_MS is still stored with all of its digits (contract 9.5).
local MAX_TTL_MS = 50000000000000
local HISTORY_LENGTH = '1000'

-- While a library is loaded, it sees little more than redis.register_function. The first call of a
-- function fetches the other globals into locals, which are quicker.
local function globals()
  return redis.call, tonumber, tostring, type, pcall, ipairs, pairs, unpack, math.floor,
    string.find, string.sub, string.gsub, string.gmatch, string.rep, string.char, string.format,
    table.concat, table.sort
end
local call, tonumber, tostring, type, pcall, ipairs, pairs, unpack, floor, find, sub, gsub, gmatch,
    rep, char, format, concat, sort
local function fetch_globals()
  call, tonumber, tostring, type, pcall, ipairs, pairs, unpack, floor, find, sub, gsub, gmatch,
      rep, char, format, concat, sort = globals()
end

-- Registers a function that takes at least `key_count` KEYS and `arg_count` ARGV. With fewer of
-- them the function could fail between two writes.
local function register(name, key_count, arg_count, body)
  redis.register_function(name, function(keys, args)
    if not call then fetch_globals() end
    if not (keys[key_count] and args[arg_count]) then
      return redis.error_reply('ERR ' .. name .. ' takes ' .. key_count .. ' KEYS and at least ' ..
          arg_count .. ' ARGV; its arguments must be strings or integers')
    end
    return body(keys, args)
  end)
end

local function is_set(value) return value and value ~= '' end

local function invalid(detail) return { 0, 'invalid_input', detail } end

-- Returns `text` as a number, or nil and the rejection.
local function number_of(text, name)
  local number = tonumber(text)
  if not number then
    return nil, invalid(name .. ' must be a number, got: ' .. tostring(text))
  end
  return number
end

-- Reads a whole number from -MAX_TTL_MS to MAX_TTL_MS, which is a count of milliseconds in most
-- uses. A fraction would fail where an expiry is set, after the first writes (contract 9.6).
-- Infinity and NaN are no whole numbers either. There are few different TTLs, and finding a known
-- one takes less time than parsing it again.
local KNOWN_AT_MOST = 1000
local known, known_count = {}, 0
local function milliseconds_of(text, name)
  local found = known[text]
  if found then return found end
  local number, rejection = number_of(text, name)
  if rejection then return nil, rejection end
  if number % 1 ~= 0 or number > MAX_TTL_MS or number < -MAX_TTL_MS then
    return nil, invalid(name .. ' must be a whole number up to 50000000000000, got: ' .. text)
  end
  if known_count == KNOWN_AT_MOST then known, known_count = {}, 0 end
  known[text], known_count = number, known_count + 1
  return number
end

-- Reads a time that a caller gives. Any time that fits into 64 bits is allowed. Nothing is added to
-- the time, and a hash gets the text that came, so the time stays exact there however far away it
-- is.
local function time_of(text, name)
  local number, rejection = number_of(text, name)
  if rejection then return nil, rejection end
  if number % 1 ~= 0 or number > 2 ^ 63 or number < -2 ^ 63 then
    return nil, invalid(name .. ' must be a whole number of 64 bits, got: ' .. text)
  end
  return number
end

-- Reads a time as time_of() does; an empty text or 0 means that there is no time.
local function optional_time_of(text, name)
  if not text or text == '' or text == '0' then return nil end
  return time_of(text, name)
end

-- Reads milliseconds as milliseconds_of() does; an empty text or 0 means that there are none.
local function optional_milliseconds_of(text, name)
  if not text or text == '' or text == '0' then return nil end
  return milliseconds_of(text, name)
end

-- Returns a whole number as text, in half of tostring's time. For numbers below 1e14 tostring gives
-- the same digits (contract 9.5).
local function digits(number) return format('%d', number) end

-- Returns the number after `text`, as text. Epochs and attempts are small numbers, and looking the
-- text up is quicker than making it.
local NEXT = {}
local function next_number(text)
  local found = NEXT[text]
  if not found then
    local number = (tonumber(text) or 0) + 1
    found = digits(number)
    if number <= 100 then NEXT[text] = found end
  end
  return found
end

-- Returns a time as text, with the same digits as digits() gives. A busy server serves many calls
-- in a millisecond, and these calls use few different times, such as now, and now plus a TTL.
local millisecond, texts = nil, {}
local function time_digits(time)
  local text = texts[time]
  if not text then
    text = digits(time)
    texts[time] = text
  end
  return text
end

-- Returns the time in milliseconds, as a number and as text.
local function clock()
  local time = call('TIME')
  local now = time[1] * 1000 + floor(time[2] / 1000)
  if now ~= millisecond then millisecond, texts = now, {} end
  return now, time_digits(now)
end

-- ff:exec:{fp:7}:<execution id>:core --> ff:attempt:{fp:7}:<execution id>:<index>
local function attempt_key(core_key, index)
  return 'ff:attempt:' .. sub(core_key, 9, -6) .. ':' .. index
end

-- ff:idx:{fp:7}:<rest>
local function index_key(core_key, rest)
  return 'ff:idx:' .. sub(core_key, 9, find(core_key, '}', 9, true)) .. ':' .. rest
end

local function eligible_score(priority, created_at)
  return 0 - priority * 1000000000000 + created_at
end

-- Says that this library is there, and which version it is. The function also answers on a server
-- that is short of memory.
redis.register_function{
  function_name = 'ffgrant_version',
  callback = function() return LIBRARY_VERSION end,
  flags = { 'no-writes' }
}
