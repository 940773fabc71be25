/*
 * Publish, sleep and wake between two workers and the arbiter, as common/ring.c,
 * server/worker.c and arbiter/arbiter.c do it, for spin to try in every order.
 *
 * A worker posts a few drafts and leaves once it has every completion; the
 * arbiter takes, answers and sleeps, for ever. A wake-up that is lost leaves
 * somebody asleep who should not be: spin calls that an invalid end state. No
 * cycle exists in this model (checked too: "non-progress cycles"), so where there
 * is no such end state, every draft is consumed and every completion received.
 *
 * Memory is weaker than x86: each core's stores wait in a buffer of its own, are
 * seen by itself at once and by others later, and overtake one another unless they
 * are to the same place or are release stores (-DOVERTAKING; without it they leave
 * in order, as on x86). Loads are made in order: what a processor does by loading
 * early is not shown here. What a core does to itself alone, its own buffer
 * included, is put together with a step beside it, since nobody sees a difference.
 *
 * A comment "ring.c: ..." quotes the line that the step stands for; bell.py sees
 * to it that the line is still there.
 *
 * Broken on purpose, each alone, and spin must find it:
 *   -DNO_FENCE_SLEEPER  no barrier between saying that one sleeps and looking again
 *   -DNO_FENCE_RINGER   no barrier between publishing and looking at the flag
 *   -DNO_RELEASE        the record may become visible after the tail
 *   -DNO_LOOK_AGAIN     who goes to sleep does not look again
 *   -DNO_RING_ANYWAY    (with DEATH) the master does not ring for the dead
 * -DDEATH: worker 0 may be killed between any two of its steps; worker 1 must not notice.
 */
#ifndef POSTS_0 /* of worker 0 */
#define POSTS_0 2
#endif
#ifndef POSTS_1
#define POSTS_1 1
#endif
#define POSTS(w) (w == 0 -> POSTS_0 : POSTS_1)
#ifndef CAPACITY
#define CAPACITY 1 /* records in a submission ring: it is full, and wraps around, at once */
#endif
#define WORKERS 2
#define ARBITER 2 /* its core */
#define CORES 3
#define BUFFER 4 /* stores that wait at most */

/* Places in memory. */
#define TAIL(w) (w)            /* of the submissions: how many are published */
#define HEAD(w) (2 + (w))      /* how many are taken */
#define ANSWERED(w) (4 + (w))  /* tail of the completions */
#define ASLEEP(core) (6 + (core))
#define RECORD(w, n) (9 + (w) * CAPACITY + (n) % CAPACITY)
#define PLACES (9 + 2 * CAPACITY)

byte memory[PLACES];
bool eventfd[CORES]; /* "not zero" is all that anybody asks */
byte waiting[CORES]; /* how many stores are in each buffer */
byte place[CORES * BUFFER];
byte value[CORES * BUFFER];
bool releases[CORES * BUFFER];
bool killed, reaped;

inline store_as(core, where, what, release)
{
    atomic {
        waiting[core] < BUFFER;
        place[core * BUFFER + waiting[core]] = where;
        value[core * BUFFER + waiting[core]] = what;
        releases[core * BUFFER + waiting[core]] = release;
        waiting[core]++
    }
}

#define store(core, where, what) store_as(core, where, what, false)
#ifdef NO_RELEASE
#define store_release(core, where, what) store_as(core, where, what, false)
#else
#define store_release(core, where, what) store_as(core, where, what, true)
#endif

/* Sees what the core itself has stored last, else the memory. */
inline load(core, where, out)
{
    d_step {
        out = memory[where];
        i = 0;
        do
        :: i < waiting[core] ->
            if
            :: place[core * BUFFER + i] == where -> out = value[core * BUFFER + i]
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

#define fence(core) (waiting[core] == 0)

#define stored(core, where, n) (waiting[core] > n && place[core * BUFFER + n] == where)

/* An atomic operation on memory itself: behind what the core has stored to that place, and nothing else. */
inline exchange_for_zero(core, where, out)
{
    atomic {
        !stored(core, where, 0) && !stored(core, where, 1) && !stored(core, where, 2) && !stored(core, where, 3);
        out = memory[where];
        memory[where] = 0
    }
}

/* --- the bell --- */

inline bell_prepare_sleep(core)
{
    atomic {
        store(core, ASLEEP(core), 1); /* ring.c: atomic_store_explicit(&bell->asleep, 1, memory_order_relaxed); */
#ifndef NO_FENCE_SLEEPER
        fence(core)                   /* ring.c: atomic_thread_fence(memory_order_seq_cst); */
#endif
    }
}

inline bell_wake_up(core)
{
    atomic {
        store(core, ASLEEP(core), 0); /* ring.c: atomic_store_explicit(&bell->asleep, 0, memory_order_relaxed); */
        eventfd[core] = false         /* ring.c: ssize_t n = read(bell->fd, &count, sizeof count); */
    }
}

inline bell_ring(core, sleeper)
{
    atomic {
#ifndef NO_FENCE_RINGER
        fence(core);                /* ring.c: atomic_thread_fence(memory_order_seq_cst); */
#endif
        load(core, ASLEEP(sleeper), seen);
                                    /* ring.c: if (atomic_load_explicit(&bell->asleep, memory_order_relaxed) == 0) */
    }
    if
    :: seen == 0
    :: else ->
        exchange_for_zero(core, ASLEEP(sleeper), seen);
                                    /* ring.c: if (atomic_exchange_explicit(&bell->asleep, 0, memory_order_relaxed) == 0) */
        if
        :: seen == 0
        :: else -> eventfd[sleeper] = true /* ring.c: bell_ring_anyway(bell); */
        fi
    fi;
    seen = 0
}

/* --- a worker: run() of server/worker.c --- */

/* submissions_receive. */
inline receive(w)
{
    atomic {
        load(w, ANSWERED(w), seen); /* ring.c: ring->seen = atomic_load_explicit(&ring->control->tail, memory_order_acquire); */
        busy = busy || seen > received;
        refused = refused && !busy;
        received = seen;
        seen = 0
    }
}

/* A client's draft comes: submissions_send. A full ring refuses it; the client comes again after the next answer. */
inline send(w)
{
    atomic {
        load(w, HEAD(w), seen);     /* ring.c: ring->seen = atomic_load_explicit(&ring->control->head, memory_order_acquire); */
        if
        :: sent - seen < CAPACITY ->
            store(w, RECORD(w, sent), sent + 1);
                                    /* ring.c: memcpy(ring->bytes + (position & (ring->capacity - 1)) + RING_RECORD_OVERHEAD, payload, length); */
            sent++;
            store_release(w, TAIL(w), sent);
                                    /* ring.c: atomic_store_explicit(&ring->control->tail, ring->position, memory_order_release); */
            unrung = true
        :: else -> refused = true
        fi;
        seen = 0
    }
}

inline work(w)
{
    do
    :: received == POSTS(w) -> break
    :: else ->
        bell_prepare_sleep(w);
        busy = false;
#ifndef NO_LOOK_AGAIN
        receive(w);
#endif
        if /* http_run: returns when a client or the bell has something, or need not sleep */
        :: sent < POSTS(w) && !refused -> send(w)
        :: eventfd[w] -> bell_wake_up(w); receive(w) /* on_bell */
        :: busy
        fi;
        store(w, ASLEEP(w), 0);
        if /* submissions_flush */
        :: unrung -> bell_ring(w, ARBITER); unrung = false
        :: else
        fi
    od
}

proctype Worker0()
{
    byte i, seen, sent, received;
    bool busy, refused, unrung;
#ifdef DEATH
    { work(0) } unless { killed }
#else
    work(0)
#endif
}

proctype Worker1()
{
    byte i, seen, sent, received;
    bool busy, refused, unrung;
    work(1)
}

/* --- the arbiter: run() of arbiter/arbiter.c --- */

/* worker_links_drain. */
inline drain(w)
{
    do
    :: w == 0 && gone -> break
    :: else ->
        load(ARBITER, TAIL(w), seen); /* ring.c: ring->seen = atomic_load_explicit(&ring->control->tail, memory_order_acquire); */
        if
        :: seen == taken[w] -> break
        :: else
        fi;
        atomic {
            load(ARBITER, RECORD(w, taken[w]), seen);
                                      /* ring.c: buffer_append(out, ring->bytes + offset + RING_RECORD_OVERHEAD, head.length); */
            assert(seen == taken[w] + 1); /* that record, and whole */
            taken[w]++;
            store_release(ARBITER, HEAD(w), taken[w]);
                                      /* ring.c: atomic_store_explicit(&ring->control->head, ring->position, memory_order_release); */
            fresh[w] = true
        }
    od;
    seen = 0
}

/* worker_links_answer. */
inline answer(w)
{
    if
    :: fresh[w] -> store_release(ARBITER, ANSWERED(w), taken[w]) /* ring.c: atomic_store_explicit(&ring->control->tail, ring->position, memory_order_release); */
    :: else
    fi
}

/* worker_links_ring_bells. */
inline ring_bell(w)
{
    if
    :: fresh[w] -> bell_ring(ARBITER, w); fresh[w] = false
    :: else
    fi
}

/* worker_links_idle. */
inline look_again(w)
{
    if
    :: w == 0 && gone
    :: else ->
        load(ARBITER, TAIL(w), seen); /* ring.c: return !ring->broken && atomic_load_explicit(&ring->control->tail, memory_order_acquire) == ring->position; */
        idle = idle && seen == taken[w];
        seen = 0
    fi
}

proctype Arbiter()
{
    byte i, seen;
    byte taken[WORKERS];
    bool fresh[WORKERS], idle, gone;
    do
    :: gone = reaped; /* worker_links_follow_generations */
        drain(0);
        drain(1);
        if
        :: fresh[0] || fresh[1] ->
            answer(0);
            answer(1);
            ring_bell(0);
            ring_bell(1)
        :: else ->
            bell_prepare_sleep(ARBITER);
            idle = gone == reaped;
#ifndef NO_LOOK_AGAIN
            look_again(0);
            look_again(1);
#endif
            if
            :: idle ->
end:            eventfd[ARBITER]    /* ring.c: (void)poll(&rung, 1, timeout_ms); */
            :: else
            fi;
            bell_wake_up(ARBITER)
        fi
    od
}

/* --- the rest of the machine --- */

/* May this store leave its buffer now? */
#define older(core, n, k) (n > k && place[(core) * BUFFER + (k)] == place[(core) * BUFFER + (n)])
#define may_leave(core, n) (waiting[core] > n && (n == 0 || \
    !(releases[(core) * BUFFER + (n)] || older(core, n, 0) || older(core, n, 1) || older(core, n, 2))))

inline leave(core, n)
{
    d_step {
        memory[place[core * BUFFER + n]] = value[core * BUFFER + n];
        i = n;
        do
        :: i + 1 < waiting[core] ->
            place[core * BUFFER + i] = place[core * BUFFER + i + 1];
            value[core * BUFFER + i] = value[core * BUFFER + i + 1];
            releases[core * BUFFER + i] = releases[core * BUFFER + i + 1];
            i++
        :: else -> break
        od;
        waiting[core]--;
        place[core * BUFFER + waiting[core]] = 0; /* what is no longer there must not tell states apart */
        value[core * BUFFER + waiting[core]] = 0;
        releases[core * BUFFER + waiting[core]] = false;
        i = 0
    }
}

proctype StoreBuffer(byte core)
{
    byte i;
end:
    do
    :: atomic { may_leave(core, 0) -> leave(core, 0) }
#ifdef OVERTAKING
    :: atomic { may_leave(core, 1) -> leave(core, 1) }
    :: atomic { may_leave(core, 2) -> leave(core, 2) }
    :: atomic { may_leave(core, 3) -> leave(core, 3) }
#endif
    od
}

/* Kills worker 0 at some time, or never; reaps it: worker_died and start_worker of server/master.c. */
proctype Master()
{
    byte i, seen;
    if
    :: killed = true
    :: goto done
    fi;
    waiting[0] == 0; /* waitpid returns long after the dead one's last store */
#ifndef NO_RING_ANYWAY
    eventfd[ARBITER] = true;        /* ring.c: ssize_t n = write(bell->fd, &one, sizeof one); */
#endif
    reaped = true;
    if /* bell_ring of start_worker; the master's own stores are behind a barrier each */
    :: atomic { memory[ASLEEP(ARBITER)] == 1 -> memory[ASLEEP(ARBITER)] = 0 }; eventfd[ARBITER] = true
    :: else
    fi;
done:
    skip
}

init
{
    atomic {
        run Arbiter();
        run Worker0();
        run Worker1();
        run StoreBuffer(0);
        run StoreBuffer(1);
        run StoreBuffer(ARBITER);
#ifdef DEATH
        run Master();
#endif
    }
}
