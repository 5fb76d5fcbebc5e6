/*
 * How runners share one database: the lock, the history, crashes. README.md says what is modelled, what is not, and what
 * each property is. Sources: src/app/up.cpp (a run), src/core/apply.cpp (a step), src/pg/database.cpp (requests),
 * src/pg/lock.cpp (the lock), docs/history.md.
 *
 * A Runner is a run together with its session on the server. It is cut at any step (FAULTS times in all): its process is
 * killed, or its connection breaks. The session then goes on alone for as long as it likes, up to the end of the request
 * that was sent, a COMMIT included; meanwhile the next pod or connection, a Runner of its own, is at work.
 *
 * Direct: the lock belongs to the session. Migration 1 runs in a transaction. Migration 2 does not: its statement 1
 * commits with its progress; statement 2, CREATE INDEX CONCURRENTLY, cannot.
 * POOLED: the lock belongs to the transaction. Both migrations run in one.
 *
 * The other macros plant a mistake each; run.sh has the list.
 */
#ifndef RUNNERS
#define RUNNERS 3
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#if defined(POOLED) && !defined(SESSION_LOCK)
#define TRANSACTION_LOCK
#endif
#ifdef POOLED
#define TRANSACTIONAL 2   /* migrations that run in a transaction */
#else
#define TRANSACTIONAL 1
#endif
#define NOBODY 255

/* ---- the database: what is committed */

byte applied;             /* migrations whose newest row says applied: 0, 1, 2 */
byte done;                /* statements_done of migration 2's newest row */
bool sent;                /* its details.running: statement 2 was sent, and may be done */
mtype = { absent, invalid, valid };
mtype built_index = absent;   /* what statement 2 makes, in the catalog */
byte times[3];            /* how often the effect of a statement was committed: migration 1, statement 1 and 2 of 2 */

/* ---- the server's memory */

byte holder = NOBODY;     /* session that has the advisory lock */
byte table = NOBODY;      /* session that has the lock of the table that is changed */
byte builder = NOBODY;    /* session that builds the index */
byte faults;
byte begun = 1;           /* runners that are not the successor of one that was cut */

/* ---- properties; README.md has them in words */

#ifdef ONLY_ONCE          /* so that a planted mistake has to do harm, not only to break a rule */
#define MINE
#else
#define MINE assert(holder == ME);
#endif

inline happens(n) {
  times[n]++;
  assert(times[n] == 1)
}

/* ---- steps of a session */

#define CUT !orphan && faults < FAULTS -> faults++; orphan = true; run Runner(AGAIN)
/* A step of the server is atomic; before it, and while it waits, the runner may be cut, and the session of one that is
   gone may end. */
#define STEP   do :: atomic { CUT } :: orphan -> goto ended :: atomic {
#define NEXT   ; break } od;
/* The last step of a request: behind it the runner decides, if there still is one. */
#define ANSWER ; if :: orphan -> goto ended :: else fi; break } od;

#ifdef RECONNECT_WITHOUT_LOCK
#define AGAIN true
#else
#define AGAIN false
#endif

#ifdef SESSION_LOCK
/* A pool of two sessions, lent to a runner for a transaction each; one whose runner is cut is closed and replaced. The
   server gives the lock to the session that has it once more, whoever asks through it now. */
bool lent[2];
#define ME session
#define BORROW atomic { if :: !lent[0] -> session = 0 :: !lent[1] -> session = 1 fi; lent[session] = true };
#define GIVE_BACK lent[session] = false; session = NOBODY
#else
#define ME _pid           /* who has a lock that ends with the transaction: which session of the pool does not matter */
#define BORROW
#define GIVE_BACK skip
#endif

#ifdef NO_GUARD
#define GUARD
#else
#define GUARD STEP lost = (holder != ME) NEXT if :: lost -> goto lock_lost :: else fi;
#endif

/* ROLLBACK, and what the session held is free. */
inline end_session() {
  if
  :: ME != NOBODY ->
    if :: table == ME -> table = NOBODY :: else fi;
    if :: builder == ME -> builder = NOBODY :: else fi;
    if :: holder == ME -> holder = NOBODY :: else fi;
    GIVE_BACK
  :: else
  fi
}

#ifdef SNAPSHOT_BEFORE_LOCK
#define SEEN_NOW snapshot
#else
#define SEEN_NOW applied
#endif

inline see() {
  seen_applied = applied;
  seen_done = done;
  seen_sent = sent
}

/* Fewer states: what nobody looks at any more is the same everywhere. */
inline forget() {
  again = false; orphan = false; lost = false; got_lock = false;
  seen_applied = 0; seen_done = 0; seen_sent = false; seen_index = 0
}

proctype Runner(bool again) {
  bool orphan, lost, got_lock;
  byte seen_applied, seen_done;
  bool seen_sent;
  mtype seen_index;
#ifdef BOTH_LOCKS
  bool unlocked;
#endif
#ifdef SNAPSHOT_BEFORE_LOCK
  byte snapshot;
#endif
#ifdef SESSION_LOCK
  byte session = NOBODY;
#endif

  atomic {                /* runners are alike: whoever looks first is the first, and there is nothing to cut before */
    if :: begun < RUNNERS -> begun++; run Runner(false) :: else fi;
    see();
    goto planned
  };
plan:
  BORROW
  STEP see(); GIVE_BACK ANSWER
planned:                  /* nothing pending: no lock, no write */
  if :: seen_applied == 2 -> goto nothing_pending :: else fi;

#ifndef TRANSACTION_LOCK
#ifdef RECONNECT_WITHOUT_LOCK
  if :: again -> again = false; goto migrate :: else fi;
#endif
  do                      /* asks again and again; --lock-wait may be over at any time */
  ::
    BORROW
    STEP
      got_lock = (holder == NOBODY || holder == ME);
      if :: got_lock -> holder = ME :: else fi
    NEXT
#ifdef HISTORY_READ_BEFORE_LOCK
    STEP GIVE_BACK ANSWER
#else
    STEP see(); GIVE_BACK ANSWER
#endif
    if
    :: got_lock -> break
    :: !got_lock -> forget()                /* and once more */
    :: !got_lock -> goto over
    fi
  od;
#endif

migrate:
  do
  :: seen_applied < TRANSACTIONAL ->
    BORROW                /* first request: BEGIN, guard or lock, the migration's change */
#ifdef TRANSACTION_LOCK
#ifdef SNAPSHOT_BEFORE_LOCK
    STEP snapshot = applied NEXT   /* REPEATABLE READ: all is seen as it was when the first query, which locks, began */
#endif
    STEP
      got_lock = (holder == NOBODY);
      if :: got_lock -> holder = ME :: else fi
    NEXT
    if :: !got_lock -> goto busy :: else fi;
#ifndef HISTORY_READ_BEFORE_LOCK
    STEP lost = (SEEN_NOW != seen_applied) NEXT
    if :: lost -> goto overtaken :: else fi;
#endif
#else
    GUARD
#endif
    STEP
      table == NOBODY -> table = ME;
#ifdef MIGRATION_UNLOCKS  /* SELECT pg_advisory_unlock_all() in the file: it does not reach a transaction's lock */
#ifdef BOTH_LOCKS
      unlocked = true
#else
      if :: holder == ME -> holder = NOBODY :: else fi
#endif
#endif
    ANSWER
#ifdef UNLOCK_BEFORE_COMMIT
    STEP if :: holder == ME -> holder = NOBODY :: else fi NEXT
#endif
    STEP                  /* second request: history row, COMMIT */
      MINE
      happens(seen_applied);
      assert(applied == seen_applied);
      applied = seen_applied + 1;
      seen_applied = applied;
      table = NOBODY;
#ifdef TRANSACTION_LOCK
      holder = NOBODY;    /* the server frees it when the changes can be seen, not before */
#endif
#ifdef BOTH_LOCKS
      if :: unlocked -> unlocked = false; holder = NOBODY :: else fi;
#endif
      GIVE_BACK
    ANSWER
  :: else -> break
  od;
  if :: seen_applied == 2 -> goto all_applied :: else fi;

#ifndef POOLED
  GUARD                   /* the row of this attempt; a doubt of the last one goes along */
  STEP
    MINE
    assert(done == seen_done);
#ifdef DOUBT_FORGOTTEN
    sent = false;
    seen_sent = false
#else
    sent = seen_sent
#endif
  ANSWER
  if
  :: seen_done == 0 ->    /* statement 1 and its progress */
    GUARD
    STEP table == NOBODY -> table = ME NEXT
    STEP
      MINE
      happens(1);
      done = 1;
      table = NOBODY
    ANSWER
  :: else
  fi;
  if
  :: seen_done < 2 ->
    GUARD
#ifndef NOT_LOOKED_UP
    STEP seen_index = built_index ANSWER
    if
    :: seen_index == valid && seen_sent -> goto done_already
    :: seen_index == invalid ->
      STEP assert(builder == NOBODY); MINE built_index = absent ANSWER
    :: else               /* absent; or there, and not from us: the statement would be refused */
    fi;
#endif
    STEP MINE sent = true ANSWER
    STEP assert(builder == NOBODY); MINE builder = ME; built_index = invalid NEXT
    STEP MINE happens(2); builder = NOBODY; built_index = valid ANSWER
done_already:
    STEP MINE assert(built_index == valid); done = 2; sent = false ANSWER
  :: else
  fi;
  GUARD
  STEP MINE assert(times[1] == 1 && times[2] == 1 && done == 2); applied = 2; seen_applied = 2 ANSWER
#endif

all_applied:
  assert(applied == 2);
nothing_pending:
  assert(times[0] == 1 && times[1] == 1);
#ifndef POOLED
  assert(times[2] == 1);
#endif
  goto over;

#ifdef POOLED
lock_lost:
overtaken:                /* ROLLBACK, and a new plan */
  atomic { end_session(); forget(); goto plan };
busy:                     /* and once more; --lock-wait may be over at any time */
  if
  :: atomic { end_session(); forget(); goto plan }
  :: goto over
  fi;
#else
lock_lost:                /* as a connection that is lost: this session ends, and the run begins again */
  atomic { end_session(); forget(); goto plan };
#endif

ended:
over:
  atomic { end_session(); forget() }
}

init {
  run Runner(false)
}
