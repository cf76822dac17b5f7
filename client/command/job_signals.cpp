#include "client/command/job_signals.hpp"

#include <csignal>

namespace locker::client {
namespace {

volatile std::sig_atomic_t is_continued = 0;
void (*handler_before)(int) = nullptr;

/// Whether the terminal's signal has stopped us, and somebody has continued us; seldom false though
/// it is so, for we may look before the handler runs. The kernel does not stop a group that no
/// shell could continue, wherever in it the one is whose shell is gone.
bool stop_as_terminal_does(int number) {
  struct sigaction ours {};
  struct sigaction noting {};
  ::sigaction(SIGCONT, nullptr, &ours);
  handler_before = ours.sa_handler;
  // It may run on another thread, and passes the signal on to those who await it by itself.
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
  for (const int number :
       {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE}) {
    struct sigaction before {};
    ::sigaction(number, nullptr, &before);
    const bool is_ignored = before.sa_handler == SIG_IGN;
    if (is_ignored) sigaddset(&ignored, number);
    const bool is_ours = number != SIGTTIN && number != SIGTTOU && number != SIGPIPE;
    if (is_ours && !is_ignored) await(number);
  }
  for (const int number : {SIGCONT, SIGCHLD, SIGWINCH}) await(number);
  ::signal(SIGPIPE, SIG_IGN);  // nobody may read any more what we say
  // Whoever starts us can have blocked some: nobody would tell us of the command's end.
  ::sigprocmask(SIG_UNBLOCK, &awaited, nullptr);
  return ignored;
}

bool ends_job(int number) {
  return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
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
