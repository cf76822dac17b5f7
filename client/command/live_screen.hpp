#pragma once

#include <cstddef>
#include <string_view>

#include <termios.h>

namespace locker::client {

/// Takes over the terminal at stdin and stdout for a picture that changes. Keys arrive unbuffered
/// and without echo; the destructor restores the screen. Uses VT100 sequences. At most one at a
/// time.
class LiveScreen {
 public:
  /// Whether stdin and stdout are a terminal.
  [[nodiscard]] static bool is_possible();

  LiveScreen() { enter(); }
  ~LiveScreen() { leave(); }
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  /// Draws the text, cut to the screen. Returns false if the terminal is gone.
  [[nodiscard]] bool draw(std::string_view text);
  [[nodiscard]] std::size_t rows() const;
  /// Restores the terminal, stops the process as Ctrl-Z does, and takes over again when continued.
  void suspend();

 private:
  void enter();
  void leave();

  termios before_{};
  bool is_taken_ = false;
};

}  // namespace locker::client
