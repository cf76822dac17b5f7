#include "client/command/job_signals.hpp"

namespace locker::client {

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

void stop_job(int number) {
  if (number == SIGTTIN || number == SIGTTOU) {
    ::kill(0, number);
    return;
  }
  struct sigaction ours {};
  struct sigaction ignoring {};
  ignoring.sa_handler = SIG_IGN;
  ::sigaction(SIGTSTP, &ignoring, &ours);
  ::kill(0, SIGTSTP);
  ::raise(SIGSTOP);
  ::sigaction(SIGTSTP, &ours, nullptr);
}

}  // namespace locker::client
