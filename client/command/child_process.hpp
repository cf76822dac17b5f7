#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace locker::client {

/// A command in a process group of its own, which has the terminal while it runs in the foreground;
/// where its output is read by another program, a pager for example, not before it asks for it.
/// Linux and POSIX; on the main thread.
class ChildProcess {
 public:
  struct Start {
    std::vector<std::string> command;
    std::vector<std::pair<std::string, std::string>> environment;  ///< In addition to ours.
    sigset_t signal_mask;  ///< What the command begins with.
    sigset_t ignored;      ///< The signals that it ignores, as who starts us wants it.
    /// Called when its group is there. The command begins after that, and not if we end before.
    std::function<void(pid_t group)> before_exec;
  };
  /// The error number of exec, or of fork, when the command does not run.
  [[nodiscard]] static std::pair<std::optional<ChildProcess>, int> start(const Start& start);

  [[nodiscard]] pid_t group() const { return pid_; }
  /// Whether we are, or were at the start, in the foreground of a terminal, where a shell watches
  /// us both; or in its background, and the command wants the terminal.
  [[nodiscard]] bool has_shell(bool wants_terminal);
  /// To all of the group.
  void signal(int number) const;

  enum class State { running, stopped, ended };
  /// Looks what has happened; `status` as of waitpid() when it ended or was stopped.
  [[nodiscard]] State look(int& status) const;
  /// Gives the terminal to the command, if we have it and the command wants it.
  void give_terminal();
  /// Takes the terminal back; returns whether the command had it.
  bool take_terminal();
  /// It was stopped because it wants the terminal. False: it cannot have it.
  [[nodiscard]] bool lend_terminal();

 private:
  ChildProcess(pid_t pid, bool has_terminal, bool wants_terminal)
      : pid_(pid),
        has_terminal_(has_terminal),
        wants_terminal_(wants_terminal),
        is_foreground_(wants_terminal) {}

  pid_t pid_;
  bool has_terminal_;  // we had it at the start, or later
  bool wants_terminal_;
  bool is_foreground_;  // we have given it the terminal
};

/// What a shell would say: the exit code, or 128 and the signal's number.
[[nodiscard]] int exit_code_of_status(int status);

}  // namespace locker::client
