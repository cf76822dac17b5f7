#include "client/command/child_process.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

namespace locker::client {
namespace {

constexpr int terminal = STDIN_FILENO;

/// Blocks SIGTTOU, which a background process gets when it changes the terminal's group.
void set_terminal_group(pid_t group) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  ::tcsetpgrp(terminal, group);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

/// Pointers to the texts, terminated by null, for exec.
std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// Our environment, with `added` in addition or instead.
std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text{*variable};
    const bool is_replaced = std::any_of(added.begin(), added.end(), [&](const auto& each) {
      return text.starts_with(each.first + "=");
    });
    if (!is_replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : added) all.emplace_back(name).append("=").append(value);
  return all;
}

/// Runs in the child: async-signal-safe calls only.
[[noreturn]] void become(const ChildProcess::Start& start, const std::vector<char*>& arguments,
                         const std::vector<char*>& environment, bool wants_terminal, int go,
                         int report) {
  ::setpgid(0, 0);
  if (wants_terminal) set_terminal_group(::getpid());
  for (int number = 1; number <= SIGRTMAX; ++number) {
    ::signal(number, sigismember(&start.ignored, number) == 1 ? SIG_IGN : SIG_DFL);
  }
  ::sigprocmask(SIG_SETMASK, &start.signal_mask, nullptr);
  char may_begin = 0;
  ssize_t got = 0;
  do {
    got = ::read(go, &may_begin, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) ::_exit(126);
  ::execvpe(arguments[0], arguments.data(), environment.data());
  const int error = errno;
  const auto told = ::write(report, &error, sizeof error);
  ::_exit(told == sizeof error ? 127 : 126);
}

}  // namespace

std::pair<std::optional<ChildProcess>, int> ChildProcess::start(const Start& start) {
  const std::vector<char*> arguments = pointers_to(start.command);
  const std::vector<std::string> texts = environment_with(start.environment);
  const std::vector<char*> environment = pointers_to(texts);
  const bool has_terminal = ::isatty(terminal) != 0 && ::tcgetpgrp(terminal) == ::getpgrp();
  const bool wants_terminal = has_terminal && ::isatty(STDOUT_FILENO) != 0;
  int go[2];
  if (::pipe2(go, O_CLOEXEC) != 0) return {std::nullopt, errno};
  int report[2] = {-1, -1};
  const pid_t pid = ::pipe2(report, O_CLOEXEC) == 0 ? ::fork() : -1;
  if (pid < 0) {
    const int error = errno;
    for (const int end : {go[0], go[1], report[0], report[1]}) ::close(end);
    return {std::nullopt, error};
  }
  if (pid == 0) {
    ::close(go[1]);
    become(start, arguments, environment, wants_terminal, go[0], report[1]);
  }
  ::setpgid(pid, pid);  // also done by the child: whichever comes first
  if (wants_terminal) set_terminal_group(pid);
  ::close(go[0]);
  ::close(report[1]);
  if (start.before_exec) start.before_exec(pid);
  const auto told = ::write(go[1], "", 1);
  static_cast<void>(told);  // if the child has ended already, the read below notices
  ::close(go[1]);
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(report[0], &error, sizeof error);  // returns when exec closes the pipe
  } while (got < 0 && errno == EINTR);
  ::close(report[0]);
  ChildProcess child{pid, has_terminal, wants_terminal};
  if (got == 0) return {child, 0};
  ::waitpid(pid, nullptr, 0);
  child.take_terminal();
  return {std::nullopt, error};
}

void ChildProcess::signal(int number) const { ::kill(-pid_, number); }

ChildProcess::State ChildProcess::look(int& status) const {
  const pid_t found = ::waitpid(pid_, &status, WNOHANG | WUNTRACED);
  if (found != pid_) return State::running;
  return WIFSTOPPED(status) ? State::stopped : State::ended;
}

// After a stop we may be continued in the background, where the shell has the terminal.
void ChildProcess::give_terminal() {
  if (!wants_terminal_) return;
  const pid_t owner = ::tcgetpgrp(terminal);
  if (owner == ::getpgrp()) {
    has_terminal_ = true;
    set_terminal_group(pid_);
  }
  is_foreground_ = owner == ::getpgrp() || owner == pid_;
}

bool ChildProcess::has_shell(bool wants_terminal) {
  if (::tcgetpgrp(terminal) == ::getpgrp()) has_terminal_ = true;  // moved there by `fg`
  if (has_terminal_ || !wants_terminal) return has_terminal_;
  const pid_t session = ::getsid(0);
  // A process whose parent is gone, as after `( locker run … & )`, is continued by nobody, so the
  // kernel does not stop it.
  const bool is_job =
      ::getpgrp() != session && ::tcgetsid(terminal) == session && ::getsid(::getppid()) == session;
  if (is_job)
    wants_terminal_ = true;  // it has the terminal once we are continued in the foreground
  return is_job;
}

bool ChildProcess::lend_terminal() {
  if (::tcgetpgrp(terminal) != ::getpgrp()) return false;
  wants_terminal_ = true;
  give_terminal();
  return true;
}

bool ChildProcess::take_terminal() {
  if (is_foreground_) set_terminal_group(::getpgrp());
  return std::exchange(is_foreground_, false);
}

int exit_code_of_status(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace locker::client
