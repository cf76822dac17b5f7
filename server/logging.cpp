#include "server/logging.hpp"

#include <ctime>
#include <memory>

#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "core/utf8.hpp"
#include "server/json_text.hpp"

namespace locker::server {
namespace {

/// {"time": "…", "level": "…", "message": "…"}: spdlog's own patterns do not escape the message.
class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    spdlog::memory_buf_t head;
    head_.format(message, head);
    std::string line{head.data(), head.size()};
    const std::string_view text{message.payload.data(), message.payload.size()};
    append_json_string(core::check_text(text) == core::TextFault::not_utf8 ? "(not UTF-8)" : text,
                       line);
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

}  // namespace

void start_logging(const std::string& level, bool as_json) {
  auto logger = std::make_shared<spdlog::logger>("lockerd",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (as_json) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l: %v", spdlog::pattern_time_type::utc);
  }
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace locker::server
