#include "observe/heartbeat.hpp"

#include <algorithm>
#include <csignal>
#include <system_error>

#include <pthread.h>

#include <fmt/format.h>

namespace lockkeeper::observe {

namespace {

/// A thread that is started meanwhile takes no signals: they are the main thread's.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &m_before);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &m_before, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t m_before{};
};

}  // namespace

Heartbeat::Heartbeat(core::Observer& next, const core::Report& report, util::Clock& clock, util::Duration every,
                     Push push)
    : m_next(next), m_report(report), m_clock(clock), m_every(every), m_push(std::move(push)) {
  m_live.tool_version = report.tool_version;
  m_live.started = report.started;
  if (m_every > util::Duration::zero()) {
    const SignalsBlocked blocked;
    try {
      m_thread = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
      m_next.on(core::Note{.level = core::Level::warning,
                           .message = fmt::format("no thread for interim pushes: {}", error.what())});
    }
  }
}

Heartbeat::~Heartbeat() {
  stop();
}

void Heartbeat::stop() {
  if (!m_thread.joinable()) {
    return;
  }
  {
    const std::lock_guard lock(m_mutex);
    m_stop = true;
  }
  m_wake.notify_one();
  m_thread.join();
}

void Heartbeat::on(const core::Event& event) {
  if (m_thread.joinable()) {
    const std::lock_guard lock(m_mutex);
    note(event);
  }
  m_next.on(event);
}

/// What the report says, and what only events tell.
void Heartbeat::note(const core::Event& event) {
  m_live.lock_attempts = m_report.lock_attempts;
  m_live.lock_timeout_retries = m_report.lock_timeout_retries;
  m_live.blockers_seen = m_report.blockers_seen;
  m_live.queue_peak = m_report.queue_peak;
  m_live.queue_longest = m_report.queue_longest;
  m_live.applied = m_report.applied.size();
  m_live.lock_wait = m_report.lock_wait.value_or(m_live.lock_wait);
  if (const auto* connected = std::get_if<core::Connected>(&event)) {
    m_live.database = connected->database;
    m_live.statement_began.reset();
  } else if (const auto* plan = std::get_if<core::PlanMade>(&event)) {
    m_live.pending = plan->pending;
  } else if (const auto* waiting = std::get_if<core::LockWaiting>(&event)) {
    m_live.lock_wait_began = m_clock.now() - waiting->waited;
  } else if (const auto* acquired = std::get_if<core::LockAcquired>(&event)) {
    m_live.lock_wait_began.reset();
    m_live.lock_wait = acquired->waited;
  } else if (const auto* progress = std::get_if<core::StepProgress>(&event)) {
    m_live.lock_wait_began.reset();  // behind a pooler the lock is taken after the migration has begun
    m_live.statement_began = m_clock.now() - progress->running;
  } else if (std::holds_alternative<core::StepBlocked>(event)) {
    m_live.lock_wait_began.reset();
    m_live.statement_began = m_live.statement_began.value_or(m_clock.now());
  } else if (const auto* retry = std::get_if<core::StepRetry>(&event)) {
    m_live.lock_wait_began.reset();
    m_live.statement_began = m_clock.now() + retry->wait;
  } else if (std::holds_alternative<core::StepStarted>(event) ||
             std::holds_alternative<core::StatementFinished>(event)) {
    m_live.lock_wait_began.reset();
    m_live.statement_began = m_clock.now();
  } else if (std::holds_alternative<core::StepFinished>(event)) {
    m_live.statement_began.reset();
    if (m_live.pending.value_or(0) > 0) {
      --*m_live.pending;
    }
  } else if (std::holds_alternative<core::StepFailed>(event)) {
    m_live.statement_began.reset();
  }
}

void Heartbeat::run() {
  std::unique_lock lock(m_mutex);
  while (!m_wake.wait_for(lock, m_every, [this] { return m_stop.load(); })) {
    if (m_live.database.empty()) {
      continue;
    }
    const Live live = m_live;
    lock.unlock();
    try {
      m_push(live, {.wall = m_clock.wall(), .steady = m_clock.now()}, m_stop);
    } catch (const std::exception&) {
      // Out of memory, say. The run goes on; whether it can still push at its end shows then.
    }
    lock.lock();
  }
}

}  // namespace lockkeeper::observe
