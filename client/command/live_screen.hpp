#pragma once

#include <cstddef>
#include <string_view>

#include <termios.h>

namespace locker::client {

/// The terminal at stdin and stdout, taken for a picture that changes: keys come at once and are
/// not shown, and what was on the screen is there again at the end. VT100's sequences, which every
/// terminal of today has. At most one at a time.
class LiveScreen {
 public:
  /// Whether stdin and stdout are a terminal.
  [[nodiscard]] static bool is_possible();

  LiveScreen() { enter(); }
  ~LiveScreen() { leave(); }
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  /// Lines that do not fit are cut. False: nobody sees it any more.
  [[nodiscard]] bool draw(std::string_view text);
  [[nodiscard]] std::size_t rows() const;
  /// Gives the terminal back, stops the process as Ctrl-Z does, and takes it again afterwards.
  void suspend();

 private:
  void enter();
  void leave();

  termios before_{};
  bool is_taken_ = false;
};

}  // namespace locker::client
