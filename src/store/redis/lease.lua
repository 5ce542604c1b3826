-- SPDX-License-Identifier: MIT
--
-- lease: a Redis store's side of the leases of some users of one shard, in one atomic step: what account_serve()
-- in lease/account.c does, in the same order and with the same numbers, which is the reference and is tested
-- beside it. All numbers are whole and below 2^53 (lease/message.h), so that doubles hold them exactly.
--
--   KEYS   the shard's record {virgin, C, server, era, born, generation, grants}: see lease/store_clock.h;
--          then a record for each user, none of them twice {era, hold, forgot, charges, cells, then six values a
--          charge and two a cell}: see lease/account.h. All in one slot.
--   ARGV   clamp, slack in ms by which a user's record outlives its use, then requests: one for each user, then
--          beats, which mean no user: they step, rewind and compare the clock. A request is an array of
--          MessagePack: incarnation (a string of 8 bytes), sequence (0: a look, or with need 0 only reports),
--          need, want, limit, term, hold, era seen, grants seen, rewind by, rewind generation, is reset (1 or 0),
--          and for each report incarnation, sequence, base, is final (1 or 0), number of uses, and for each of
--          these age and count. Of a beat era seen, grants seen and the rewind are read.
--   reply  for each request {granted, free, retry after, C, era, generation, grants, and for each report settled
--          and is over}; for a beat {0, 0, 0, C, era, generation, grants}
local CHARGES_MAX, CELLS_A_HOLD, CELLS_MAX, KEEP_PARTS = 64, 128, 144, 16
local FULL_RETRY_MAX, NEVER = 1000000, 9007199254740991
local ID, SEQUENCE, ENDS, GRANTED, SETTLED, OVER = 1, 2, 3, 4, 5, 6 -- of a charge
local floor, min, max = math.floor, math.min, math.max
local pack, unpack_record, call = cmsgpack.pack, cmsgpack.unpack, redis.call

local clamp, slack_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

-- The shard's clock. It is always written, so that WAIT also covers a grant that is repeated.
local time = call('TIME')
local records = call('MGET', unpack(KEYS))
local server = time[1] * 1000000 + time[2]
local shard
if records[1] then
    shard = unpack_record(records[1])
    local passed = server - shard[3]
    if passed >= 0 and passed <= clamp then shard[2] = shard[2] + passed end
    -- By a clock that jumped so far, records have expired that are still meant.
    if passed > slack_ms * 1000 then shard[5], shard[1] = shard[2], 0 end
    shard[3] = server
else
    shard = {0, server, server, server, server, 0, 0}
end
local now, era = shard[2], shard[4]

-- The record of the user who is served: charges and cells are both in the order of time, a cell is
-- {latest, count}; changed says whether it is to be written.
local charges, cells, hold, forgot, changed

-- Whether something stamped so has aged out long ago, so that it need not be kept.
local function forget(stamp)
    local until_us = stamp + hold
    if until_us + floor(hold / KEEP_PARTS) > now then return false end
    forgot = max(forgot, until_us)
    return true
end

local function find(id, sequence)
    for i = 1, #charges do
        local c = charges[i]
        if c[SEQUENCE] == sequence and c[ID] == id then return c end
    end
end

-- Counts permits that were used at `stamp` and not later.
local function count(stamp, permits)
    if forget(stamp) then return end
    local cell_us = floor(hold / CELLS_A_HOLD) + 1
    local cell = floor(stamp / cell_us)
    local at = #cells
    while at > 0 and floor(cells[at][1] / cell_us) > cell do at = at - 1 end
    if at > 0 and floor(cells[at][1] / cell_us) == cell then
        cells[at][1] = max(cells[at][1], stamp)
        cells[at][2] = cells[at][2] + permits
        return
    end
    if #cells == CELLS_MAX then
        cells[2][2] = cells[2][2] + cells[1][2]
        table.remove(cells, 1)
        at = max(at - 1, 0)
    end
    table.insert(cells, at + 1, {stamp, permits})
end

-- Moves up to `permits` of a charge to where they were used.
local function settle(charge, stamp, permits)
    permits = min(permits, charge[GRANTED] - charge[SETTLED])
    if permits <= 0 then return end
    charge[SETTLED] = charge[SETTLED] + permits
    if charge[SETTLED] == charge[GRANTED] then charge[OVER] = 1 end
    count(stamp, permits)
    changed = true
end

local function live()
    local sum = 0
    for i = 1, #charges do
        local c = charges[i]
        if c[ENDS] + hold > now then sum = sum + c[GRANTED] - c[SETTLED] end
    end
    for i = 1, #cells do
        if cells[i][1] + hold > now then sum = sum + cells[i][2] end
    end
    return sum
end

-- Reads a user's record. What another clock has stamped is older than this one's hold.
local function read(record, asked_hold, is_reset)
    charges, cells, hold, forgot, changed = {}, {}, asked_hold, 0, record and is_reset
    local r = record and not is_reset and unpack_record(record)
    if not r or r[1] ~= era then return end
    hold, forgot = max(r[2], asked_hold), r[3]
    changed = r[2] < asked_hold
    local at = 6
    for _ = 1, r[4] do
        local ends, is_over = r[at + 2], r[at + 5] == 1
        if is_over and ends > now or not is_over and not forget(ends) then
            charges[#charges + 1] = {r[at], r[at + 1], ends, r[at + 3], r[at + 4], r[at + 5]}
        end
        at = at + 6
    end
    for _ = 1, r[5] do
        if #cells > 0 or not forget(r[at]) then cells[#cells + 1] = {r[at], r[at + 1]} end
        at = at + 2
    end
end

local function write(key)
    local record, newest = {era, hold, forgot, #charges, #cells}, 0
    for i = 1, #charges do
        local c = charges[i]
        for k = 1, 6 do record[#record + 1] = c[k] end
        newest = c[ENDS]
    end
    for i = 1, #cells do
        local u = cells[i]
        record[#record + 1] = u[1]
        record[#record + 1] = u[2]
        newest = max(newest, u[1])
    end
    local until_us = max(newest > 0 and newest + 2 * hold or 0, forgot > 0 and forgot + hold or 0)
    if until_us == 0 then
        call('DEL', key)
    else
        call('SET', key, pack(record), 'PX', floor(max(until_us - now, 0) / 1000) + 1 + slack_ms)
    end
end

-- After how long no more than `room` are live, if nothing but time passes.
local function retry_after(taken, room)
    local last, charge, cell = now, 1, 1
    while taken > room do
        local c, u = charges[charge], cells[cell]
        local stamp, permits
        if not u or (c and c[ENDS] < u[1]) then
            charge, stamp, permits = charge + 1, c[ENDS], c[GRANTED] - c[SETTLED]
        else
            cell, stamp, permits = cell + 1, u[1], u[2]
        end
        if stamp + hold > now and permits > 0 then
            taken, last = taken - permits, stamp + hold
        end
    end
    return last - now
end

-- The first charge that is over, else the oldest.
local function dispensable()
    for i = 1, #charges do
        if charges[i][OVER] == 1 then return i end
    end
    return 1
end

local function has_room()
    if #charges < CHARGES_MAX then return true end
    local c = charges[dispensable()]
    return c[OVER] == 1 or c[ENDS] <= now
end

-- When charges are full: one that is over goes, or the oldest becomes used permits of its latest time.
local function make_room()
    if #charges < CHARGES_MAX then return end
    local c = table.remove(charges, dispensable())
    if c[OVER] == 0 then count(c[ENDS], c[GRANTED] - c[SETTLED]) end
end

-- One report, whose words begin at q[at]; returns where the next begins.
local function report(q, at, reply)
    local base, is_final, uses = q[at + 2], q[at + 3] == 1, q[at + 4]
    local charge = find(q[at], q[at + 1])
    local is_open = charge and charge[OVER] == 0
    if is_open then
        if base > charge[SETTLED] then settle(charge, now, base - charge[SETTLED]) end
        local known = max(charge[SETTLED] - base, 0)
        for i = at + 5, at + 3 + 2 * uses, 2 do
            local skip = min(known, q[i + 1])
            known = known - skip
            settle(charge, now - min(q[i], now), q[i + 1] - skip)
        end
        if is_final then
            charge[GRANTED], charge[OVER] = charge[SETTLED], 1
            changed = true
        end
    end
    reply[#reply + 1] = charge and charge[SETTLED] or 0
    reply[#reply + 1] = charge and charge[OVER] or 1
    return at + 5 + 2 * uses
end

-- How long nothing may be granted, since the past is not known.
local function past_wait(q)
    return max(shard[1] == 1 and 0 or shard[5] + q[6] + q[7] - now, forgot - now, 0)
end

-- After how long `need` may fit, with so many live. 0: it fits now, and there is room for its charge.
local function refusal(q, taken)
    local need, limit, term = q[3], q[5], q[6]
    if need > limit then return NEVER end
    local wait = past_wait(q)
    if wait > 0 then return wait end
    if taken > limit - need then return retry_after(taken, limit - need) end
    return has_room() and 0 or min(term, FULL_RETRY_MAX)
end

-- Grants what can be granted; returns that, and after how long to try again.
local function acquire(q)
    local taken = live()
    local known = #charges > 0 and find(q[1], q[2])
    if known then
        local holds = known[SETTLED] == 0 and known[OVER] == 0 and taken <= q[5] and past_wait(q) == 0
        return holds and known[GRANTED] or 0, 0
    end
    local wait = refusal(q, taken)
    if wait > 0 then return 0, wait end

    make_room()
    local granted = min(q[4], max(q[3], floor((q[5] - taken) / 2)))
    local at, ends = #charges, now + q[6]
    while at > 0 and charges[at][ENDS] > ends do at = at - 1 end
    table.insert(charges, at + 1, {q[1], q[2], ends, granted, 0, 0})
    shard[7] = shard[7] + 1
    changed = true
    return granted, 0
end

local replies = {}
for i = 1, #ARGV - 2 do
    local q, key = unpack_record(ARGV[i + 2]), KEYS[i + 1]
    if q[10] > 0 and q[11] == shard[6] then
        shard[2], shard[6] = now - min(q[10], now), shard[6] + 1
        now = shard[2]
    end
    if q[8] > era or (q[8] == era and q[9] > shard[7]) then
        if q[8] == era then shard[7] = q[9] end
        shard[5], shard[1] = now, 0
    end
    local reply, at = {0, 0, 0, now, era, shard[6], 0}, 13
    if key then
        read(records[i + 1], q[7], q[12] == 1)
        while q[at] do at = report(q, at, reply) end
        if q[2] ~= 0 then
            reply[1], reply[3] = acquire(q)
        elseif q[3] > 0 then
            reply[3] = refusal(q, live())
        end
        reply[2] = max(q[5] - live(), 0)
        if changed then write(key) end
    end
    reply[7] = shard[7]
    replies[i] = reply
end
call('SET', KEYS[1], pack(shard))
return replies
