#include "server/program/logging.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>

#include <spdlog/fmt/fmt.h>
#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include "server/json_text.hpp"

namespace locker::server {
namespace {

/// Formats a line as {"time": "…", "level": "…", "message": "…"}. spdlog's own patterns do not
/// escape the message.
class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    spdlog::memory_buf_t head;
    head_.format(message, head);
    std::string line{head.data(), head.size()};
    append_json_text({message.payload.data(), message.payload.size()}, line);
    line += "}\n";
    out.append(line.data(), line.data() + line.size());
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }

 private:
  spdlog::pattern_formatter head_{R"({"time": "%Y-%m-%dT%H:%M:%S.%eZ", "level": "%l", "message": )",
                                  spdlog::pattern_time_type::utc, ""};
};

/// The format of say_last_words(). Its arguments are time, milliseconds and message.
std::string_view last_line_format = "lockerd: {2}\n";  // before start_logging()

/// Long enough for a reader that is merely busy.
constexpr std::chrono::milliseconds patience{200};

bool takes_more(std::chrono::milliseconds wait) {
  pollfd polled{STDERR_FILENO, POLLOUT, 0};
  while (true) {
    const int count = ::poll(&polled, 1, static_cast<int>(wait.count()));
    if (count >= 0 || errno != EINTR) return count > 0;
  }
}

/// Returns how many bytes were written.
std::size_t write_to_stderr(std::string_view text, std::chrono::milliseconds wait) {
  std::size_t written = 0;
  while (written < text.size() && takes_more(wait)) {
    // A pipe that poll() reports as writable takes PIPE_BUF bytes without blocking.
    const std::size_t size = std::min<std::size_t>(text.size() - written, PIPE_BUF);
    const ssize_t count = ::write(STDERR_FILENO, text.data() + written, size);
    if (count > 0) {
      written += static_cast<std::size_t>(count);
    } else if (count == 0 || errno != EINTR) {
      break;
    }
  }
  return written;
}

/// Writes to stderr. A log that nobody reads, such as a full pipe, must not block its writers: the
/// threads that serve, and the end of the process. A line that is not taken within `patience` is
/// lost. Later lines are then tried without waiting, until one is taken; it is preceded by the
/// number of lost lines.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t lines;
    if (is_cut_) lines.push_back('\n');
    if (lost_ != 0) {
      const std::string text = std::to_string(lost_) + " lines of this log are lost: they could " +
                               "not be written, or nobody read them";
      formatter_->format({message.time, {}, message.logger_name, spdlog::level::warn, text}, lines);
    }
    formatter_->format(message, lines);
    const std::chrono::milliseconds wait = lost_ == 0 ? patience : std::chrono::milliseconds{0};
    const std::size_t written = write_to_stderr({lines.data(), lines.size()}, wait);
    if (written != 0) is_cut_ = written < lines.size();
    lost_ = written < lines.size() ? lost_ + 1 : 0;
  }
  void flush_() override {}

 private:
  std::uint64_t lost_ = 0;
  bool is_cut_ = false;  ///< The last line was written in part.
};

}  // namespace

void say_last_words(std::string_view text) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> time{};
  std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 1024> line{};  // on the stack: there may be no memory
  const auto written = fmt::format_to_n(line.data(), line.size(), fmt::runtime(last_line_format),
                                        time.data(), milliseconds % 1000, text);
  write_to_stderr({line.data(), std::min(written.size, line.size())}, patience);
}

void start_logging(const std::string& level, bool as_json) {
  auto logger = std::make_shared<spdlog::logger>("lockerd", std::make_shared<StderrSink>());
  if (as_json) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
    last_line_format =
        "{{\"time\": \"{0}.{1:03}Z\", \"level\": \"critical\", \"message\": \"{2}\"}}\n";
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l: %v", spdlog::pattern_time_type::utc);
    last_line_format = "{0}.{1:03}Z critical: {2}\n";
  }
  // The reason why the process ends is logged even at level off.
  logger->set_level(std::min(spdlog::level::from_str(level), spdlog::level::critical));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace locker::server
