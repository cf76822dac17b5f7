#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <exception>
#include <iostream>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "client/command/commands.hpp"
#include "client/command/live_screen.hpp"
#include "client/command/overview.hpp"
#include "client/command/terminal_text.hpp"
#include "client/library/run_to_end.hpp"
#include "core/duration_text.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker top [--interval 2s] [--once]\n"
    "\n"
    "Shows the longest waits, who is in the way, and the oldest locks; updates until q. A space\n"
    "updates immediately. It reads only some of the locks, so it costs little however many there\n"
    "are.\n";

constexpr std::size_t rows_without_terminal = 20;
constexpr std::size_t rows_of_headings = 7;

/// Opens the terminal afresh, because Asio makes the descriptor non-blocking, and stdin often
/// shares its file description with stdout and the shell. Negative if there is none.
int open_keyboard() { return ::open("/dev/tty", O_RDONLY | O_CLOEXEC); }

/// Draws the overview until q, a signal, or the end of the terminal.
class Top {
 public:
  Top(ServerAddress server, milliseconds interval, int keyboard)
      : interval_(interval),
        client_(io_context_, std::move(server)),
        keyboard_(io_context_, keyboard) {}

  int run() {
    ask();
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH}) {
      signals_.add(number);
    }
    await_signal();
    await_key();
    io_context_.run();
    return code_;
  }

 private:
  void ask() {
    is_asking_ = true;
    // Half of the rows for each table.
    const std::size_t rows =
        screen_.rows() < rows_of_headings + 2 ? 1 : (screen_.rows() - rows_of_headings) / 2;
    net::co_spawn(io_context_, async_overview(client_, rows),
                  [this](const std::exception_ptr& error, Result<Overview> answer) {
                    rethrow(error);
                    is_asking_ = false;
                    show(std::move(answer));
                    ask_later();
                  });
  }

  void show(Result<Overview> answer) {
    if (answer) {
      before_ = std::exchange(shown_, std::move(*answer));
      trouble_.clear();
    } else {
      trouble_ = printable(answer.error().message);
    }
    draw();
  }

  void draw() {
    std::string text;
    if (!trouble_.empty()) text += trouble_ + "\n\n";
    if (shown_) text += text_of(*shown_, client_.address(), before_);
    if (!screen_.draw(text)) end(ExitCode::io);
  }

  void ask_later() {
    timer_.expires_after(interval_);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) ask();
    });
  }

  void await_key() {
    keyboard_.async_read_some(net::buffer(keys_),
                              [this](const boost::system::error_code& error, std::size_t size) {
                                if (error) return end(ExitCode::ok);
                                for (std::size_t i = 0; i < size; ++i) {
                                  if (keys_[i] == 'q') return end(ExitCode::ok);
                                  if (keys_[i] == ' ' && !is_asking_ && timer_.cancel() > 0) ask();
                                }
                                await_key();
                              });
  }

  void await_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      if (number == SIGTSTP) screen_.suspend();
      if (number != SIGTSTP && number != SIGWINCH) return end(ExitCode::ok);
      draw();
      await_signal();
    });
  }

  void end(ExitCode code) {
    code_ = number(code);
    io_context_.stop();
  }

  const milliseconds interval_;
  net::io_context io_context_{1};
  HttpClient client_;
  net::steady_timer timer_{io_context_};
  net::signal_set signals_{io_context_};
  net::posix::stream_descriptor keyboard_;
  LiveScreen screen_;
  std::array<char, 64> keys_{};
  std::optional<Overview> shown_;
  std::optional<Overview> before_;
  std::string trouble_;
  bool is_asking_ = false;
  int code_ = 0;
};

int print_once(const ServerAddress& server) {
  net::io_context io_context{1};
  HttpClient client{io_context, server};
  const auto answer = run_to_end(io_context, async_overview(client, rows_without_terminal));
  if (!answer) return complain(answer.error());
  std::cout << text_of(*answer, server, {});
  return finish_output();
}

}  // namespace

int run_top_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  auto add = line.visible.add_options();
  add("interval", options::value<std::string>()->value_name("TIME"), "time between updates (2s)");
  add("once", "print once, as without a terminal");
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  milliseconds interval{2'000};
  if (const std::string text = text_of(values, "interval"); !text.empty()) {
    const auto given = core::parse_duration(text);
    interval = given ? std::chrono::duration_cast<milliseconds>(*given) : milliseconds{0};
    if (interval < milliseconds{100} || interval > std::chrono::hours{1}) {
      return complain("--interval must be from 100ms to 1h.", ExitCode::usage);
    }
  }
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  outlive_failing_output();
  if (values.count("once") != 0 || !LiveScreen::is_possible()) return print_once(*server);
  const int keyboard = open_keyboard();
  if (keyboard < 0) return print_once(*server);
  return Top{*server, interval, keyboard}.run();
}

}  // namespace locker::client
