#include "client/command/job_signals.hpp"

#include <csignal>

#include "client/command/command_line.hpp"

namespace locker::client {
namespace {

volatile std::sig_atomic_t is_continued = 0;
void (*handler_before)(int) = nullptr;

/// Stops our group as the terminal does; returns whether we were stopped and continued. Rarely
/// false although we were, because we may look before the handler has run. The kernel does not stop
/// a group that no shell could continue.
bool stop_as_terminal_does(int number) {
  struct sigaction ours {};
  struct sigaction noting {};
  ::sigaction(SIGCONT, nullptr, &ours);
  handler_before = ours.sa_handler;
  // It may run on another thread, and passes the signal on to the handler before it.
  noting.sa_handler = [](int cont) {
    is_continued = 1;
    handler_before(cont);
  };
  is_continued = 0;
  ::sigaction(SIGCONT, &noting, nullptr);
  ::kill(0, number);
  ::sigaction(SIGCONT, &ours, nullptr);
  return is_continued != 0;
}

}  // namespace

sigset_t await_job_signals(boost::asio::signal_set& signals) {
  sigset_t ignored;
  sigset_t awaited;
  sigemptyset(&ignored);
  sigemptyset(&awaited);
  const auto await = [&](int number) {
    signals.add(number);
    sigaddset(&awaited, number);
  };
  for (const int number : {SIGCONT, SIGCHLD, SIGWINCH}) await(number);
  for (int number = 1; number <= SIGRTMAX; ++number) {
    struct sigaction before {};
    if (::sigaction(number, nullptr, &before) != 0) continue;  // one that the C library reserves
    const bool is_passed_on =
        ends_job(number) || number == SIGUSR1 || number == SIGUSR2 || number == SIGTSTP;
    if (before.sa_handler == SIG_IGN) {
      sigaddset(&ignored, number);
    } else if (is_passed_on) {
      await(number);
    }
  }
  outlive_failing_output();
  // Our parent may have blocked some, and we would not learn of the command's end.
  ::sigprocmask(SIG_UNBLOCK, &awaited, nullptr);
  return ignored;
}

bool ends_job(int number) {
  switch (number) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
    case SIGQUIT:
    case SIGALRM:
    case SIGVTALRM:
    case SIGPROF:
    case SIGXCPU:
    case SIGIO:
    case SIGPWR:
    case SIGSTKFLT:
      return true;
    default:
      return number >= SIGRTMIN;
  }
}

bool stop_job(int number) {
  if (number == SIGTTIN || number == SIGTTOU) return stop_as_terminal_does(number);
  struct sigaction ours {};
  struct sigaction ignoring {};
  ignoring.sa_handler = SIG_IGN;
  ::sigaction(SIGTSTP, &ignoring, &ours);
  ::kill(0, SIGTSTP);
  ::raise(SIGSTOP);
  ::sigaction(SIGTSTP, &ours, nullptr);
  return true;
}

}  // namespace locker::client
