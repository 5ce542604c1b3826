-- SPDX-License-Identifier: MIT
--
-- lease: a Redis store's side of the leases of some users of one shard, in one atomic step: what account_serve()
-- in lease/account.c does, in the same order and with the same numbers, which is the reference and is tested
-- beside it. All numbers are whole and below 2^53 (lease/message.h), so that doubles hold them exactly.
--
--   KEYS   the shard's record, then a record for each user, none of them twice; all in one slot
--   ARGV   clamp, keep (ms: how long the server keeps a user's record, or twice as long as it is of use if that is
--          longer, since the server's time is not C), then requests: one for each user, then beats, which mean
--          no user: they step, rewind and compare the clock. A request is an array of MessagePack: incarnation
--          (a string of 8 bytes), sequence (0: a look, or with need 0 only reports), need, want, limit, term,
--          hold, era seen, grants seen, rewind by, rewind generation, is reset (1 or 0), and for each report
--          incarnation, sequence, base, is final (1 or 0), number of uses, and for each of these age and count.
--          Of a beat era seen, grants seen and the rewind are read.
--   reply  for each request {granted, free, retry after, C, era, generation, grants, and for each report settled
--          and is over}; for a beat {0, 0, 0, C, era, generation, grants}
--
-- Records, by offset: doubles but for the counts (32 bits) and "is over" (a byte), the least significant byte first.
--
--   shard   0 virgin (1 or 0)  8 C  16 server  24 era  32 born  40 generation  48 grants; see lease/store_clock.h
--   user    0 era  8 hold  16 the C from which it equals a new one  24 forgot  32 number of charges  36 number of
--           cells  40 charges, then cells; see lease/account.h
--   charge  0 incarnation (8 bytes)  8 sequence  16 ends  24 granted  32 settled  40 is over (1 or 0)
--   cell    0 latest  8 count
--
-- What is served here most is a user who is new or was away for long, and asks for one permit. So that is done by
-- straight code with as few tables and functions as can be: it was 2.4 times the CPU of a minimal GCRA script and
-- is below 1.5 (bench/redis/script). All others are served by make_serve_known().
local NEVER = 9007199254740991
local HEAD_WORDS, BARE, ARRAY_16, ARRAY_32 = 12, 0x9c, 0xdc, 0xdd -- first bytes of a request; BARE: without reports
local SHARD, USER_HEAD, USER_OF_ONE_CHARGE = '<ddddddd', '<ddd', '<ddddIIc8ddddB'
local call, pack, unpack_record, unpack_words = redis.call, struct.pack, struct.unpack, cmsgpack.unpack_limit

-- The shard's clock. It is always written, so that WAIT also covers a grant that is repeated.
local clamp, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = call('TIME')
local records = call('MGET', unpack(KEYS))
local server = time[1] * 1000000 + time[2]
local virgin, now, last, era, born, generation, grants
if records[1] then
    virgin, now, last, era, born, generation, grants = unpack_record(SHARD, records[1])
    local passed = server - last
    if passed >= 0 and passed <= clamp then now = now + passed end
    -- By a clock that jumped so far, records may have expired that are still of use.
    if passed > keep_ms * 500 then born, virgin = now, 0 end
else
    virgin, now, era, born, generation, grants = 0, server, server, server, 0, 0
end

-- Makes serve_known(q, record, key, the clock), which serves every user and returns the reply and how many grants
-- were made; those who are new are served below without it. It is made when it is needed, since to make so many
-- functions takes Redis 3 us, half of what it takes to serve one user; and it is told the clock, since a function
-- that refers to what is outside takes longer to make.
local function make_serve_known()
    local CHARGES_MAX, CELLS_A_HOLD, CELLS_MAX, KEEP_PARTS = 64, 128, 144, 16
    local FULL_RETRY_MAX, NEVER = 1000000, 9007199254740991
    local ID, SEQUENCE, ENDS, GRANTED, SETTLED, OVER, NEXT = 1, 2, 3, 4, 5, 6, 7 -- of a charge; NEXT: its end
    local USER, CHARGE, CELL = '<ddddII', '<c8ddddB', '<dd'
    local floor, min, max = math.floor, math.min, math.max
    local call, pack, unpack_record = redis.call, struct.pack, struct.unpack
    local keep_ms = tonumber(ARGV[2])

    -- The shard's clock, as the call has it.
    local virgin, now, era, born, generation, grants

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

    local function read(record, asked_hold, is_reset)
        charges, cells, hold, forgot, changed = {}, {}, asked_hold, 0, record and is_reset
        if not record or is_reset then return end
        local _, its_hold, _, its_forgot, charge_count, cell_count, at = unpack_record(USER, record)
        hold, forgot = max(its_hold, asked_hold), its_forgot
        changed = its_hold < asked_hold
        for _ = 1, charge_count do
            local c = {unpack_record(CHARGE, record, at)}
            local ends, is_over = c[ENDS], c[OVER] == 1
            if is_over and ends > now or not is_over and not forget(ends) then charges[#charges + 1] = c end
            at = c[NEXT]
        end
        for _ = 1, cell_count do
            local u = {unpack_record(CELL, record, at)}
            if #cells > 0 or not forget(u[1]) then cells[#cells + 1] = u end
            at = u[3]
        end
    end

    local function write(key)
        local packed, newest = {''}, 0 -- the head comes when its words are known
        for i = 1, #charges do
            local c = charges[i]
            packed[#packed + 1] = pack(CHARGE, unpack(c))
            newest = c[ENDS]
        end
        for i = 1, #cells do
            packed[#packed + 1] = pack(CELL, unpack(cells[i]))
            newest = max(newest, cells[i][1])
        end
        local fresh_at = max(newest > 0 and newest + 2 * hold or 0, forgot > 0 and forgot + hold or 0)
        if fresh_at == 0 then
            call('DEL', key)
        else
            packed[1] = pack(USER, era, hold, fresh_at, forgot, #charges, #cells)
            call('SET', key, table.concat(packed), 'PX', max(floor((fresh_at - now) / 500) + 1, keep_ms))
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
        return max(virgin == 1 and 0 or born + q[6] + q[7] - now, forgot - now, 0)
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
        grants = grants + 1
        changed = true
        return granted, 0
    end

    return function(q, record, key, ...)
        virgin, now, era, born, generation, grants = ...
        read(record, q[7], q[12] == 1)
        local reply, at = {0, 0, 0, now, era, generation, 0}, 13
        while q[at] do at = report(q, at, reply) end
        if q[2] ~= 0 then
            reply[1], reply[3] = acquire(q)
        elseif q[3] > 0 then
            reply[3] = refusal(q, live())
        end
        reply[2], reply[7] = max(q[5] - live(), 0), grants
        if changed then write(key) end
        return reply, grants
    end
end

local replies, serve_known = {}, nil
for i = 1, #ARGV - 2 do
    local q, key, record = ARGV[i + 2], KEYS[i + 1], records[i + 1]
    local first = q:byte()
    local _, incarnation, sequence, need, want, limit, term, hold, era_seen, grants_seen, rewind, seen_in =
        unpack_words(q, HEAD_WORDS, first == ARRAY_16 and 3 or first == ARRAY_32 and 5 or 1)
    if rewind > 0 and seen_in == generation then
        now, generation = rewind < now and now - rewind or 0, generation + 1
    end
    if era_seen > era or (era_seen == era and grants_seen > grants) then
        if era_seen == era then grants = grants_seen end
        born, virgin = now, 0
    end
    -- What another clock has stamped is older than this one's hold; and who was away for long is as good as new.
    if record then
        local its_era, its_hold, fresh_at = unpack_record(USER_HEAD, record)
        if its_era ~= era or (fresh_at <= now and its_hold >= hold) then record = nil end
    end

    if not key then
        replies[i] = {0, 0, 0, now, era, generation, grants}
    elseif record or first ~= BARE then
        serve_known = serve_known or make_serve_known()
        replies[i], grants = serve_known(cmsgpack.unpack(q), record, key, virgin, now, era, born, generation, grants)
    else
        local granted, retry_after = 0, 0
        local wait = virgin == 1 and 0 or born + term + hold - now
        if need > limit then
            retry_after = NEVER
        elseif need > 0 and wait > 0 then
            retry_after = wait
        elseif sequence ~= 0 then
            granted = (limit - limit % 2) / 2
            if granted < need then granted = need end
            if granted > want then granted = want end
            grants = grants + 1
            -- A number that is given to Redis is printed first, by a slow printf() (0.4 us); ARGV[2] is a text.
            local ends, twice_ms = now + term, (term + 2 * hold) / 500
            call('SET', key, pack(USER_OF_ONE_CHARGE, era, hold, ends + 2 * hold, 0, 1, 0,
                                  incarnation, sequence, ends, granted, 0, 0),
                 'PX', twice_ms < keep_ms and ARGV[2] or twice_ms - twice_ms % 1 + 1)
        end
        replies[i] = {granted, limit - granted, retry_after, now, era, generation, grants}
    end
end
call('SET', KEYS[1], pack(SHARD, virgin, now, server, era, born, generation, grants))
return replies
