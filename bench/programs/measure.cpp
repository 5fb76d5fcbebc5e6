/// \file
/// measure RESULT LIMIT LOG COMMAND...: runs COMMAND and writes what it took into the file RESULT, as one JSON object:
/// exit code (128 + the signal that ended it), whether it was stopped after LIMIT seconds, seconds from fork to exit,
/// seconds of CPU of the whole tree of processes, and the peak memory of the largest of them, in KiB. LOG gets what it
/// prints. Ends with 0 whenever there is a result.
///
/// A small program of its own, because a process inherits the peak memory of the one that starts it: what Python
/// starts would never have less than Python. Source: getrusage(2), exec_mmap() of Linux.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

volatile std::sig_atomic_t child = 0;
volatile std::sig_atomic_t stopped = 0;
volatile std::sig_atomic_t ended_from_outside = 0;

/// The limit is over, or somebody ends us: the child's whole group goes.
void end_child(int signal) {
  stopped = 1;
  ended_from_outside = signal == SIGALRM ? 0 : 1;
  if (child > 0) {
    kill(-child, SIGKILL);
  }
}

[[noreturn]] void become(const char* log, char** command) {
  setpgid(0, 0);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (null < 0 || out < 0) {
    _exit(127);
  }
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  execvp(command[0], command);
  std::perror(command[0]);
  _exit(127);
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("usage: measure RESULT LIMIT LOG COMMAND...\n", stderr);
    return 2;
  }
  for (const int signal : {SIGALRM, SIGTERM, SIGINT, SIGHUP}) {
    std::signal(signal, end_child);
  }

  const auto begin = std::chrono::steady_clock::now();
  const pid_t pid = fork();
  if (pid < 0) {
    std::perror("fork");
    return 1;
  }
  if (pid == 0) {
    for (const int signal : {SIGALRM, SIGTERM, SIGINT, SIGHUP}) {
      std::signal(signal, SIG_DFL);
    }
    become(argv[3], argv + 4);
  }
  child = pid;
  setpgid(pid, pid);
  alarm(static_cast<unsigned>(std::atoi(argv[2])));

  int status = 0;
  rusage usage{};
  while (wait4(pid, &status, 0, &usage) < 0) {
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (ended_from_outside) {
    return 1;
  }

  std::FILE* result = std::fopen(argv[1], "w");
  if (result == nullptr) {
    std::perror(argv[1]);
    return 1;
  }
  std::fprintf(result, R"({"code": %d, "stopped": %s, "wall": %.6f, "cpu": %.6f, "memory_kib": %ld})",
               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), stopped ? "true" : "false",
               took.count(), seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
  return std::fclose(result) == 0 ? 0 : 1;
}
