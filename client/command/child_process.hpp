#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace locker::client {

/// A command in a process group of its own. In the foreground the group has the terminal; if the
/// output goes to another program, such as a pager, only once the command asks for it. POSIX; for
/// the main thread only.
class ChildProcess {
 public:
  struct Start {
    std::vector<std::string> command;
    std::vector<std::pair<std::string, std::string>> environment;  ///< In addition to ours.
    sigset_t signal_mask;                                          ///< The command's initial mask.
    sigset_t ignored;  ///< The signals that the command ignores, by our parent's choice.
    /// Called once the group exists. The command starts after that, and not at all if we end
    /// before.
    std::function<void(pid_t group)> before_exec;
  };
  /// Starts the command. Without a process: the errno of exec, fork or pipe.
  [[nodiscard]] static std::pair<std::optional<ChildProcess>, int> start(const Start& start);

  [[nodiscard]] pid_t group() const { return pid_; }
  /// Whether a shell watches this job and can continue it: we are, or were at the start, in the
  /// foreground of a terminal, or we are in its background and the command wants the terminal.
  [[nodiscard]] bool has_shell(bool wants_terminal);
  /// Sends a signal to the whole group.
  void signal(int number) const;

  enum class State { running, stopped, ended };
  /// Returns the command's state without waiting; sets `status` as waitpid() does, unless running.
  [[nodiscard]] State look(int& status) const;
  /// Gives the terminal to the command, if we have it and the command wants it.
  void give_terminal();
  /// Takes the terminal back. Returns whether the command had it.
  bool take_terminal();
  /// Gives the terminal to a command that was stopped because it wants it. Returns false if we do
  /// not have it.
  [[nodiscard]] bool lend_terminal();

 private:
  ChildProcess(pid_t pid, bool has_terminal, bool wants_terminal)
      : pid_(pid),
        has_terminal_(has_terminal),
        wants_terminal_(wants_terminal),
        is_foreground_(wants_terminal) {}

  pid_t pid_;
  bool has_terminal_;  // at the start or later
  bool wants_terminal_;
  bool is_foreground_;  // the command has the terminal
};

/// The exit code as a shell reports it: the command's, or 128 plus the signal's number.
[[nodiscard]] int exit_code_of_status(int status);

}  // namespace locker::client
