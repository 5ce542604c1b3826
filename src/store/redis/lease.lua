-- SPDX-License-Identifier: MIT
--
-- lease: a Redis store's side of the leases of some users of one shard, in one atomic step: what account_serve()
-- in lease/account.c does, in the same order and with the same numbers, which is the reference and is tested
-- beside it. All numbers are whole and below 2^53 (lease/message.h), so that doubles hold them exactly.
--
--   KEYS   the shard's record, its two witnesses, then a record for each user, none of them twice; all in one slot
--   ARGV   clamp, keep (ms: how long the server keeps a user's record, or four times as long as it may be of use if
--          that is longer, since the server's time is not C; a quarter of it is a `day` here, as it is for weir),
--          then requests: one for each user, then beats, which mean
--          no user: they step, rewind and compare the clock. A request is an array of MessagePack: incarnation
--          (a string of 8 bytes), sequence (0: a look, or with need 0 only reports), need, want, limit, term,
--          hold, era seen, grants seen, rewind by, rewind generation, is reset (1 or 0), and for each report
--          incarnation, sequence, base, is final (1 or 0), number of uses, and for each of these age and count.
--          Of a beat era seen, grants seen and the rewind are read.
--   reply  for each request {granted, free, retry after, C, era, generation, grants, and for each report settled
--          and is over}; for a beat {0, 0, owed - C, C, era, generation, grants}
--
-- Records, by offset: doubles but for the counts (32 bits), the format and "is over" (a byte each), the least
-- significant byte first. A shard's record of another size is another version's, and so is a user's of another format:
-- such a one has lost its past.
--
--   shard   0 virgin (1 or 0)  8 C  16 server  24 era  32 born  40 generation  48 grants; see lease/store_clock.h
--           56 owed: the C by which all that was granted has aged out, with some of what C may yet be rewound by; 0:
--           nothing was, and nobody who asked has seen another clock  64 slept: how much more C has stood still than it
--           advanced while something was owed; see where it is compared  72 long born  80 long slept: born and slept
--           of rules whose records are of use for a fortnight and more; long born is 0 as long as nobody is known
--           to know of a past, also when virgin has ended, since what other rules were granted was lost
--           88 sure: the C until which something that may have expired can count
--   witness empty, and written at most 1/64 of a day before the last call, by the server's clock. They expire after a
--           day and a fortnight, less 1/64: while one is there, the server's clock has not been further ahead, or not
--           for long enough that Redis removed what had expired
--   user    0 format  1 era  9 hold  17 the C from which it equals a new one  25 forgot  33 number of charges
--           37 number of cells  41 charges, then, if there are cells, the sum of their counts and a base, then cells;
--           see lease/account.h
--   charge  0 incarnation (8 bytes)  8 sequence  16 ends  24 granted  32 settled  40 is over (1 or 0)
--   cell    0 (latest - base) * COUNTS + count; or, if base is -1, 0 latest  8 count
--
-- What is served here most is a user who is new or was away for long, and asks for one permit. So that is done by
-- straight code with as few tables and functions as can be: it was 2.4 times the CPU of a minimal GCRA script for a
-- user alone in a call, and is below 1.7 there and below 1 for four and more (bench/redis/script). All others are served by make_serve_known().
local NEVER = 9007199254740991
local HEAD_WORDS, WORDS_MAX, BARE, ARRAY_16, ARRAY_32 = 12, 4096, 0x9c, 0xdc, 0xdd -- first bytes of a request; BARE: without reports
local SHARD_BYTES, HOLD_PARTS, SHARD_KEYS = 96, 16, 3
local SHARD, FORMAT, USER_BYTES, USER_HEAD, USER_OF_ONE_CHARGE = '<dddddddddddd', 1, 41, '<Bddd', '<BddddIIc8ddddB'
local KEEP, FORTNIGHT, WITNESS_PARTS = 4, 14, 64 -- keep and a fortnight are so many days
local call, pack, unpack_record, unpack_words = redis.call, struct.pack, struct.unpack, cmsgpack.unpack_limit

-- The shard's clock. It is always written, so that WAIT also covers a grant that is repeated.
local clamp, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = call('TIME')
local records = call('MGET', unpack(KEYS))
local server = time[1] * 1000000 + time[2]
local virgin, now, last, era, born, generation, grants, owed, slept, long_born, long_slept, sure
if records[1] and #records[1] == SHARD_BYTES then
    virgin, now, last, era, born, generation, grants, owed, slept, long_born, long_slept, sure =
        unpack_record(SHARD, records[1])
    local passed = server - last
    if passed >= 0 and passed <= clamp then
        now = now + passed
        slept = slept > passed and slept - passed or 0
        long_slept = long_slept > passed and long_slept - passed or 0
    elseif passed > 0 then
        slept, long_slept = slept + passed, long_slept + passed
    end
else -- there is none, or it is another version's
    virgin, now, era, born, generation, grants, owed, slept = 0, server, server, server, 0, 0, 0, 0
    long_born, long_slept, sure = server, 0, 0
end

-- The witnesses are written anew by the first call in each part of a day, and by one that finds the server's clock
-- set back: so they are of no later time than this call, and of no part before it.
local day = keep_ms * 1000 / KEEP
local part, is_unseen, is_long_unseen = day / WITNESS_PARTS, not records[2], not records[3]
if is_unseen or is_long_unseen or not last or server < last or server - last > server % part then
    local ms = (day - part) / 1000
    call('SET', KEYS[2], '', 'PX', ms - ms % 1)
    call('SET', KEYS[3], '', 'PX', ms * FORTNIGHT - ms * FORTNIGHT % 1)
end

-- Makes serve_known(), which serves every user and returns the reply, how many grants were made and the latest
-- stamp that a report has set; those who are new are served below without it. It is made when it is needed, since
-- each function that is made takes Redis 0.2 us, of 6 for a user; and it is told the clock, since a function that
-- refers to what is outside takes longer to make.
--
-- A record is read into two flat tables by one call each, and written so: a table and a call for each charge and
-- each cell took five times as long. Of the cells only the latest are read, and of the others a few that have aged
-- out, unless a report is about one of them: the record of a user near a limit has 144, and all of them took as long
-- as all else.
local function make_serve_known()
    local FORMAT, USER, CHARGE, SUM_AND_BASE = 1, '<BddddII', 'c8ddddB', '<dd'
    local CHARGE_WORDS, SEQUENCE, ENDS, GRANTED, SETTLED, OVER = 6, 1, 2, 3, 4, 5 -- a charge begins with its incarnation
    -- A cell is one double if it can be, since Redis and Lua take a microsecond and more for each 500 bytes: its latest
    -- is less than six days from the base, and its count below 16,384. The product is 2^53.
    local SPAN, COUNTS, UNPACKED = 549755813888, 16384, -1
    local min, max, floor, rep, unpack, pack, unpack_record =
        math.min, math.max, math.floor, string.rep, unpack, struct.pack, struct.unpack

    -- The shard's clock, as the call has it. born: of this rule, or 0 if there is nothing to wait for.
    local now, era, born, generation, grants, sure

    -- The record of the user who is served. Charges and cells are both in the order of time. The words of charges are
    -- charges[1] to charges[charges_end]; cells from cells_first to cells_end have their latest in stamps[] and their
    -- permits in counts[]. Older cells are left where they are, from byte older_first of the record up to older_end, and
    -- have that base and so many bytes each. All are cell_count, and used is the sum of their counts. changed: it is to be
    -- written.
    local record, charges, charges_end, hold, forgot, changed
    local stamps, counts, cells_first, cells_end, older_first, older_end, base, cell_bytes, cell_count, used
    local few, few_first -- of the older cells some that were looked at, and where they begin; 0: none
    local reported -- the latest stamp that was set; 0: none

    -- Whether something stamped so has aged out long ago, so that it need not be kept.
    local function forget(stamp)
        local KEEP_PARTS, until_us = 16, stamp + hold
        if until_us + floor(hold / KEEP_PARTS) > now then return false end
        forgot = max(forgot, until_us)
        return true
    end

    -- Where a charge begins.
    local function find(id, sequence)
        for c = 1, charges_end, CHARGE_WORDS do
            if charges[c + SEQUENCE] == sequence and charges[c] == id then return c end
        end
    end

    -- Stamps and counts of so many cells of the record, the first of which begins at that byte.
    local function cells_at(first, n)
        local words = {unpack_record('<' .. rep(base == UNPACKED and 'dd' or 'd', n), record, first)}
        local permits = {unpack(words, 1, n)} -- a table of that size
        for i = 1, n do
            if base == UNPACKED then
                words[i], permits[i] = words[2 * i - 1], words[2 * i]
            else
                permits[i] = words[i] % COUNTS
                words[i] = base + (words[i] - permits[i]) / COUNTS
            end
        end
        return words, permits
    end

    -- Latest and count of the older cell that begins at that byte.
    local function older(at)
        local FEW, WORDS, WORDS_UNPACKED = 8, '<dddddddd', '<dddddddddddddddd'
        if few_first == 0 or at < few_first or at >= few_first + FEW * cell_bytes then
            few = {unpack_record(base == UNPACKED and WORDS_UNPACKED or WORDS, record, at)}
            few_first = at -- of later cells some may have been read as well
        end
        local i = (at - few_first) / cell_bytes + 1
        if base == UNPACKED then return few[2 * i - 1], few[2 * i] end
        local permits = few[i] % COUNTS
        return base + (few[i] - permits) / COUNTS, permits
    end

    -- Reads all of them: there are no older ones any more.
    local function read_older()
        local n = (older_end - older_first) / cell_bytes
        local all_stamps, all_counts = cells_at(older_first, n)
        for i = cells_first, cells_end do
            n = n + 1
            all_stamps[n], all_counts[n] = stamps[i], counts[i]
        end
        stamps, counts, cells_first, cells_end, older_first = all_stamps, all_counts, 1, n, older_end
    end

    -- Counts permits that were used at `stamp` and not later.
    local function count(stamp, permits)
        local CELLS_A_HOLD, CELLS_MAX = 128, 144
        if forget(stamp) then return end
        if stamp > reported then reported = stamp end
        used = used + permits
        local cell_us = floor(hold / CELLS_A_HOLD) + 1
        local cell_first = stamp - stamp % cell_us
        local is_older = cells_first > cells_end or stamps[cells_first] >= cell_first + cell_us
        if older_first < older_end and (is_older or cell_count == CELLS_MAX) then read_older() end
        local at = cells_end
        while at >= cells_first and stamps[at] >= cell_first + cell_us do at = at - 1 end
        if at >= cells_first and stamps[at] >= cell_first then
            if stamps[at] < stamp then stamps[at] = stamp end
            counts[at] = counts[at] + permits
            return
        end
        if cell_count == CELLS_MAX then
            counts[cells_first + 1] = counts[cells_first + 1] + counts[cells_first]
            cells_first, cell_count = cells_first + 1, cell_count - 1
            at = max(at, cells_first - 1)
        end
        at = at + 1
        for i = cells_end, at, -1 do stamps[i + 1], counts[i + 1] = stamps[i], counts[i] end
        stamps[at], counts[at] = stamp, permits
        cells_end, cell_count = cells_end + 1, cell_count + 1
    end

    -- Moves up to `permits` of the charge at c to where they were used.
    local function settle(c, stamp, permits)
        permits = min(permits, charges[c + GRANTED] - charges[c + SETTLED])
        if permits <= 0 then return end
        charges[c + SETTLED] = charges[c + SETTLED] + permits
        if charges[c + SETTLED] == charges[c + GRANTED] then charges[c + OVER] = 1 end
        count(stamp, permits)
        changed = true
    end

    -- Permits that count now. Charges are gone through from the latest, up to what has aged out, and cells of what
    -- has aged out alone.
    local function live()
        local sum, since = used, now - hold
        for c = charges_end - CHARGE_WORDS + 1, 1, -CHARGE_WORDS do
            if charges[c + ENDS] <= since then break end
            sum = sum + charges[c + GRANTED] - charges[c + SETTLED]
        end
        for at = older_first, older_end - 1, cell_bytes do
            local latest, permits = older(at)
            if latest > since then return sum end
            sum = sum - permits
        end
        for i = cells_first, cells_end do
            if stamps[i] > since then break end
            sum = sum - counts[i]
        end
        return sum
    end

    local function read()
        local CELLS_READ = 16 -- those of a term of a tenth of a hold; no fewer than are read together of the older ones
        local _, _, its_hold, _, its_forgot, charge_count, count_before, at = unpack_record(USER, record)
        changed = its_hold < hold
        hold, forgot = max(its_hold, hold), its_forgot
        if charge_count > 0 then
            charges = {unpack_record('<' .. rep(CHARGE, charge_count), record, at)}
            at = charges[charge_count * CHARGE_WORDS + 1]
        end
        for c = 1, charge_count * CHARGE_WORDS, CHARGE_WORDS do
            local ends, is_over = charges[c + ENDS], charges[c + OVER] == 1
            if is_over and ends > now or not is_over and not forget(ends) then
                for word = c, c + CHARGE_WORDS - 1 do
                    charges_end = charges_end + 1
                    charges[charges_end] = charges[word]
                end
            end
        end
        if count_before == 0 then return end
        local read_count = min(count_before, CELLS_READ)
        used, base, older_first = unpack_record(SUM_AND_BASE, record, at)
        cell_bytes, cell_count = base == UNPACKED and 16 or 8, count_before
        older_end = older_first + (count_before - read_count) * cell_bytes
        stamps, counts = cells_at(older_end, read_count)
        cells_end = read_count
        while cell_count > 0 do
            local latest, permits
            if older_first < older_end then
                latest, permits = older(older_first)
            else
                latest, permits = stamps[cells_first], counts[cells_first]
            end
            if not forget(latest) then return end
            used, cell_count = used - permits, cell_count - 1
            if older_first < older_end then
                older_first = older_first + cell_bytes
            else
                cells_first = cells_first + 1
            end
        end
    end

    -- Those that were read are packed beside the older ones, or with them if not all fit, or on a base of their own if
    -- there are none; if they do not fit then, or the older ones are not packed, none is.
    local function written_cells()
        local is_packed, is_alone
        repeat
            is_alone = older_first == older_end
            if is_alone then base = stamps[cells_first] end
            is_packed = base ~= UNPACKED and stamps[cells_end] - base < SPAN
            for i = cells_first, cells_end do is_packed = is_packed and counts[i] < COUNTS end
            if not is_packed and not is_alone and base ~= UNPACKED then read_older() end
        until is_packed or is_alone or base == UNPACKED
        local words, n = {unpack(stamps, cells_first, cells_end)}, cells_end - cells_first + 1
        for i = 1, n do
            local permits = counts[cells_first + i - 1]
            if is_packed then
                words[i] = (words[i] - base) * COUNTS + permits
            else
                words[2 * i - 1], words[2 * i] = stamps[cells_first + i - 1], permits
            end
        end
        if not is_packed then base, n = UNPACKED, 2 * n end
        return pack(SUM_AND_BASE, used, base) .. string.sub(record or '', older_first, older_end - 1)
            .. pack('<' .. rep('d', n), unpack(words, 1, n))
    end

    local function write(key, term)
        local KEEP, call = 4, redis.call
        local charge_count = charges_end / CHARGE_WORDS
        local newest = max(charge_count > 0 and charges[charges_end - CHARGE_WORDS + 1 + ENDS] or 0,
                           cell_count > 0 and stamps[cells_end] or 0)
        local fresh_at = max(newest > 0 and newest + 2 * hold or 0, forgot > 0 and forgot + hold or 0)
        if fresh_at == 0 then
            call('DEL', key)
            return
        end
        local kept_ms = floor(max(fresh_at - now, term + 2 * hold) * KEEP / 1000) + 1
        call('SET', key, pack(USER, FORMAT, era, hold, fresh_at, forgot, charge_count, cell_count)
                 .. pack('<' .. rep(CHARGE, charge_count), unpack(charges, 1, charges_end))
                 .. (cell_count > 0 and written_cells() or ''),
             'PX', kept_ms < tonumber(ARGV[2]) and ARGV[2] or kept_ms)
    end

    -- The report whose words begin at words[at]; returns where the next begins.
    local function report(words, at, reply)
        local base, is_final, uses = words[at + 2], words[at + 3] == 1, words[at + 4]
        local c = find(words[at], words[at + 1])
        if c and charges[c + OVER] == 0 then
            local settled = charges[c + SETTLED]
            if base > settled then settle(c, now, base - settled) end
            local known = max(charges[c + SETTLED] - base, 0)
            for i = at + 5, at + 3 + 2 * uses, 2 do
                local skip = min(known, words[i + 1])
                known = known - skip
                settle(c, now - min(words[i], now), words[i + 1] - skip)
            end
            if is_final then
                charges[c + GRANTED], charges[c + OVER] = charges[c + SETTLED], 1
                changed = true
            end
        end
        reply[#reply + 1] = c and charges[c + SETTLED] or 0
        reply[#reply + 1] = c and charges[c + OVER] or 1
        return at + 5 + 2 * uses
    end

    -- After how long no more than `room` are live, if nothing but time passes.
    local function retry_after(taken, room)
        local last, c, older_at, at = now, 1, older_first, cells_first
        while taken > room do
            local is_older, stamp, permits = older_at < older_end, nil, nil
            if is_older then
                stamp, permits = older(older_at)
            elseif at <= cells_end then
                stamp, permits = stamps[at], counts[at]
            end
            if not stamp or c <= charges_end and charges[c + ENDS] < stamp then
                stamp, permits = charges[c + ENDS], charges[c + GRANTED] - charges[c + SETTLED]
                c = c + CHARGE_WORDS
            elseif is_older then
                older_at = older_at + cell_bytes
            else
                at = at + 1
            end
            if stamp + hold > now and permits > 0 then
                taken, last = taken - permits, stamp + hold
            end
        end
        return last - now
    end

    -- Where the charge is that may go when charges are full: the first that is over, else the oldest. nil: they are
    -- all running.
    local function dispensable()
        for c = 1, charges_end, CHARGE_WORDS do
            if charges[c + OVER] == 1 then return c end
        end
        return charges[1 + ENDS] <= now and 1 or nil
    end

    -- It goes, or becomes used permits of its latest time.
    local function dispense(c)
        local ends, permits, is_over = charges[c + ENDS], charges[c + GRANTED] - charges[c + SETTLED], charges[c + OVER] == 1
        for word = c, charges_end - CHARGE_WORDS do charges[word] = charges[word + CHARGE_WORDS] end
        charges_end = charges_end - CHARGE_WORDS
        if not is_over then count(ends, permits) end
    end

    local function charge(id, sequence, ends, permits)
        local at = charges_end - CHARGE_WORDS + 1
        while at >= 1 and charges[at + ENDS] > ends do at = at - CHARGE_WORDS end
        at = at + CHARGE_WORDS
        for word = charges_end, at, -1 do charges[word + CHARGE_WORDS] = charges[word] end
        charges[at], charges[at + SEQUENCE], charges[at + ENDS] = id, sequence, ends
        charges[at + GRANTED], charges[at + SETTLED], charges[at + OVER] = permits, 0, 0
        charges_end = charges_end + CHARGE_WORDS
        grants, changed = grants + 1, true
    end

    -- words: of reports, from the second on; nil: there are none.
    return function(id, sequence, need, want, limit, term, asked_hold, is_reset, words, its_record, key, ...)
        local CHARGES_MAX, FULL_RETRY_MAX, NEVER = 64, 1000000, 9007199254740991
        now, era, born, generation, grants, sure, forgot = ...
        stamps, counts, cells_first, cells_end, older_first, older_end, cell_bytes, cell_count, used = {}, {}, 1, 0, 1, 1, 8, 0, 0
        record, charges, charges_end, hold, reported = its_record, {}, 0, asked_hold, 0
        changed = record and is_reset or forgot > now
        few_first = 0
        if record and not is_reset then read() end

        local reply, at = {0, 0, 0, now, era, generation, 0}, 2
        while words and words[at] do at = report(words, at, reply) end

        local taken = live()
        local past_wait = max(born + term + asked_hold - now, sure - now, forgot - now, 0)
        local known = sequence ~= 0 and find(id, sequence)
        if known then
            local is_unused = charges[known + SETTLED] == 0 and charges[known + OVER] == 0
            if is_unused and taken <= limit and past_wait == 0 then reply[1] = charges[known + GRANTED] end
        elseif sequence ~= 0 or need > 0 then
            local is_full, wait = charges_end == CHARGES_MAX * CHARGE_WORDS, past_wait
            local gone = is_full and dispensable()
            if need > limit then
                wait = NEVER
            elseif wait == 0 and taken > limit - need then
                wait = retry_after(taken, limit - need)
            elseif wait == 0 and is_full and not gone then
                wait = min(term, FULL_RETRY_MAX)
            end
            reply[3] = wait
            if wait == 0 and sequence ~= 0 then
                local granted = min(want, max(need, floor((limit - taken) / 2)))
                if gone then dispense(gone) end
                charge(id, sequence, now + term, granted)
                taken = gone and live() or taken + granted
                reply[1] = granted
            end
        end
        reply[2], reply[7] = past_wait == 0 and max(limit - taken, 0) or 0, grants
        if changed then write(key, term) end
        return reply, grants, reported
    end
end

local replies, serve_known = {}, nil
for i = 1, #ARGV - 2 do
    local q, key, record = ARGV[i + 2], KEYS[i + SHARD_KEYS], records[i + SHARD_KEYS]
    local first = q:byte()
    local next, incarnation, sequence, need, want, limit, term, hold, era_seen, grants_seen, rewind, seen_in, resets =
        unpack_words(q, HEAD_WORDS, first == ARRAY_16 and 3 or first == ARRAY_32 and 5 or 1)
    if rewind > 0 and seen_in == generation then
        if rewind > now then rewind = now end
        now, slept, long_slept, generation = now - rewind, slept + 2 * rewind, long_slept + 2 * rewind, generation + 1
    end
    if era_seen > era or (era_seen == era and grants_seen > grants) or (era_seen > 0 and era_seen < era and long_born == 0) then
        if era_seen == era then grants = grants_seen end
        born, long_born, virgin = now, now, 0
    end
    -- Who has seen another clock knows of a past, whichever of the two is ahead. 1: long ago, nothing counts any more.
    if era_seen > 0 and era_seen ~= era and owed == 0 then owed = 1 end
    -- While C stood still the server went on, and by its clock records expire: if for so long, some that are still of
    -- use may have. Let M be a day, or the longest for which the records of a rule, T and H, can be of use by C, T + 2 H,
    -- if that is longer. Its records are kept for 4 M from each time that they are written. What the calls see of the
    -- server's clock adds up, from any call to any later one, to P + F - B:
    --
    --     P: steps that C made, F: those above the clamp, B: back; and R: rewinds, so that C advanced by P - R
    --
    -- A record that is gone was written at a call w, when the server's clock was S, and that clock has reached S + 4 M.
    -- It need not be so at any call: it may have gone up and back between two (a server that is started with its
    -- clock ahead, which is then set right). But the first call after that finds the witness, and it was written at
    -- a call v by whose clock it lasts for less than M: so v had more than S + 3 M, and v is after w, since no call
    -- leaves a witness of a later time than its own. From w to v, then, P' + F' - B' > 3 M. (Not found is this: the
    -- witness had expired, too, but Redis, which removes key by key, had removed the record alone when the clock came
    -- back, and nobody had called before, who would have seen neither. See docs/redis.md.) The record is of use now:
    -- since w, C advanced by less than M. With P" and so on from v to now,
    --
    --     P' - R' + P" - R" < M
    --     F + 2 R - P = (P' + F') - 2 (P' - R') + F" + 2 R" - P" > 3 M - 2 M + 2 (P" - R") + F" + 2 R" - P" >= M
    --
    -- Steps of C drain `slept`, down to 0, for who sleeps by night and asks by day has lost nothing; what is above the
    -- clamp fills it; and a rewind fills it twice, since it takes a step of C back that has drained. Steps back do not
    -- drain it: what is written between two steps sees but the second. So after that time it is at least
    -- F + 2 R - P > M, wherever it began, and however it was cut off at 0. And a witness that is not there is a loss by
    -- itself.
    --
    -- Rules whose M is a fortnight and more have a `slept` of their own, and a witness: for them an outage of a day is
    -- none, and a loss of the others makes them wait for nothing. (A threshold of each rule's own M would need what
    -- slept since the last loss of each.)
    --
    -- Where nothing is owed nothing is of use, so nothing is lost, and what slept is of no more interest, if C does not
    -- come back to where something was owed. If it does, nothing is granted until it is again where it was: so nothing
    -- need be known of what slept before. That is said only if it may matter; less than 1/64 of a day stays, and drains.
    if owed <= now then
        if is_unseen or is_long_unseen or long_slept > day / WITNESS_PARTS then
            sure, slept, long_slept = owed, 0, 0
        end
    else
        if is_unseen or slept > day then born, virgin, slept = now, 0, 0 end
        if is_long_unseen or long_slept > FORTNIGHT * day then born, long_born, virgin, long_slept = now, now, 0, 0 end
    end
    is_unseen, is_long_unseen = false, false
    -- What another clock has stamped is older than this one's hold. Who was away for long is as good as new, but for
    -- what a rewind may bring back, by however much: C may have leapt to here, be it by less than the clamp, and a
    -- short hold is shorter than that. Every stamp of the record is `fresh_at` - 2 of its holds at most, and so is
    -- `forgot` less a hold; so whatever it knows of counts until `forgot` as set here at most, and the record that is
    -- written over it keeps that.
    local kept_hold, last_use, forgot = hold, 0, 0
    if record then
        local format, its_era, its_hold, fresh_at
        if #record >= USER_BYTES then format, its_era, its_hold, fresh_at = unpack_record(USER_HEAD, record) end
        if format ~= FORMAT then
            record, last_use = nil, now + term
            if resets == 1 then call('DEL', key) else forgot = now + term + hold end -- a reset need not write another
        elseif its_era ~= era then
            record = nil
        elseif fresh_at <= now and its_hold >= hold and resets ~= 1 then
            record, forgot = nil, fresh_at - its_hold
        elseif its_hold > hold then
            kept_hold = its_hold
        elseif its_hold < hold then
            last_use = fresh_at - 2 * its_hold
        end
    end

    local since = virgin == 1 and -NEVER or term + 2 * hold >= FORTNIGHT * day and long_born or born
    if not key then
        replies[i] = {0, 0, owed > now and owed - now or 0, now, era, generation, grants}
    elseif record or first ~= BARE or forgot > now then
        serve_known = serve_known or make_serve_known()
        local words = next > 0 and {unpack_words(q, WORDS_MAX, next)}
        local reported
        replies[i], grants, reported =
            serve_known(incarnation, sequence, need, want, limit, term, hold, resets == 1, words, record, key,
                        now, era, since, generation, grants, sure, forgot)
        if reported > last_use then last_use = reported end -- late, and perhaps at an unknown time: after the term's end
    else
        local granted, retry_after = 0, 0
        local wait = since + term + hold - now
        if sure - now > wait then wait = sure - now end
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
            local ends, kept_ms = now + term, (term + 2 * hold) * KEEP / 1000
            call('SET', key, pack(USER_OF_ONE_CHARGE, FORMAT, era, hold, ends + 2 * hold, forgot, 1, 0,
                                  incarnation, sequence, ends, granted, 0, 0),
                 'PX', kept_ms < keep_ms and ARGV[2] or kept_ms - kept_ms % 1 + 1)
        end
        replies[i] = {granted, wait > 0 and 0 or limit - granted, retry_after, now, era, generation, grants}
    end
    if replies[i][1] > 0 and last_use < now + term then last_use = now + term end
    if last_use > 0 then
        local until_us = last_use + kept_hold + (kept_hold - kept_hold % HOLD_PARTS) / HOLD_PARTS
        if until_us > owed then owed = until_us end
    end
end
call('SET', KEYS[1], pack(SHARD, virgin, now, server, era, born, generation, grants, owed, slept, long_born, long_slept,
                          sure))
return replies
