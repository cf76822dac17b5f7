#include "client/command/live_screen.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>

#include "client/command/terminal_text.hpp"

namespace locker::client {
namespace {

constexpr std::string_view take = "\x1b[?1049h\x1b[?25l";  // alternate screen; no cursor
constexpr std::string_view give_back = "\x1b[?25h\x1b[?1049l";

bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

winsize window() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
    size.ws_row = 24;
    size.ws_col = 80;
  }
  return size;
}

}  // namespace

bool LiveScreen::is_possible() {
  return ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
}

void LiveScreen::enter() {
  if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // Ctrl-C and Ctrl-Z stay signals
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  is_taken_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  static_cast<void>(write_all(take));  // draw() notices
}

void LiveScreen::leave() {
  static_cast<void>(write_all(give_back));
  if (is_taken_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  is_taken_ = false;
}

void LiveScreen::suspend() {
  leave();
  ::raise(SIGSTOP);
  enter();
}

std::size_t LiveScreen::rows() const { return window().ws_row; }

bool LiveScreen::draw(std::string_view text) {
  const winsize size = window();
  std::string picture = "\x1b[H";
  for (unsigned row = 0; row < size.ws_row && !text.empty(); ++row) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (row != 0) picture += '\n';
    picture += shortened(text.substr(0, end), size.ws_col);
    picture += "\x1b[K";  // clears the rest of a longer line
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return write_all(picture + "\x1b[J");
}

}  // namespace locker::client
