-- SPDX-License-Identifier: MIT
-- GCRA as people write it for Redis: one key a user, which holds the theoretical arrival time in us.
-- KEYS[1] user; ARGV: emission interval in us, burst in us, cost. Returns {allowed, remaining or wait in us}.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local emission, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
if tat < now then tat = now end
local next_tat = tat + emission * cost
local room = burst - (next_tat - now)
if room < 0 then return {0, -room} end
redis.call('SET', KEYS[1], string.format('%.0f', next_tat), 'PX', math.ceil((next_tat - now) / 1000) + 1)
return {1, math.floor(room / emission)}
