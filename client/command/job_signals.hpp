#pragma once

#include <signal.h>

#include <boost/asio/signal_set.hpp>

namespace locker::client {

// The signals of a program that runs another one in a process group of its own, as a shell does.

/// Adds to `signals` those that are passed on to the command, or that tell of it. What whoever
/// starts us ignores, such as `nohup`, stays ignored; returned, for the command shall ignore it,
/// too. SIGPIPE and SIGXFSZ are ignored by us in any case.
[[nodiscard]] sigset_t await_job_signals(boost::asio::signal_set& signals);

/// Whether it asks to end, or is a timer's or a limit's that ends who does not await it. What tells
/// of a fault of our own, such as SIGSEGV or SIGABRT, is not among them.
[[nodiscard]] bool ends_job(int number);

/// Stops our whole process group, by SIGTTIN or SIGTTOU as the terminal does, else as Ctrl-Z does:
/// a shell looks at all of a job, be it a script or a pipeline. Returns when we are continued;
/// false at once where the kernel does not stop us, as there is no shell that could continue us,
/// and seldom also when we are continued.
[[nodiscard]] bool stop_job(int number);

}  // namespace locker::client
