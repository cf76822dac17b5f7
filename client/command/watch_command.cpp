#include <iostream>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "client/command/commands.hpp"
#include "client/command/event_reader.hpp"
#include "client/command/terminal_text.hpp"
#include "client/library/calls.hpp"
#include "client/library/run_to_end.hpp"

namespace locker::client {
namespace {

constexpr const char* help =
    "locker watch [--json] [PREFIX]\n"
    "\n"
    "Prints events at and below a path as they happen: granted, released, expired, forced,\n"
    "cooled, waiting, left. After a broken connection it continues after the last event; `reset`\n"
    "means that some are missing. Runs until a signal, or until its output is closed.\n";

constexpr milliseconds silence_max{40'000};  // the server sends something every 15 s
constexpr milliseconds pause_before_retry{1'000};

void print(const Event& event, bool as_json) {
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(event.data, error);
  boost::json::object data;
  if (!error && parsed.is_object()) data = parsed.get_object();
  if (as_json) {
    boost::json::object line{{"event", event.name}};
    for (const auto& [name, value] : data) line[name] = value;
    std::cout << boost::json::serialize(line) << "\n";
  } else {
    std::string name = event.name;
    name.resize(10, ' ');
    std::cout << name << text_field(data, "path") << "  " << text_field(data, "owner");
    if (text_field(data, "mode") == "shared") std::cout << "  shared";
    if (const std::string fence = text_field(data, "fence"); !fence.empty()) {
      std::cout << "  fence " << fence;
    }
    if (const std::string reason = text_field(data, "reason"); !reason.empty()) {
      std::cout << "  " << reason;
    }
    if (data.contains("cooling_ms")) {
      std::cout << "  blocks for " << duration_field(data, "cooling_ms") << " more";
    }
    std::cout << "\n";
  }
  std::cout.flush();
}

/// Runs until the output is closed or the server refuses. `client` and `call` must outlive it.
net::awaitable<int> async_watch(HttpClient& client, const Call& call, bool as_json) {
  net::steady_timer timer{co_await net::this_coro::executor};
  EventReader reader;
  bool is_troubled = false;
  bool was_connected = false;
  for (;;) {
    Result<Reply> opened =
        co_await client.async_open_stream(call, reader.last_id(), milliseconds{10'000});
    if (opened && opened->status != 200 && !opened->is_transient()) {
      co_return complain(opened->failure());
    }
    bool reads = opened && opened->status == 200;
    if (reads && is_troubled) std::cerr << "locker: the server answers again\n";
    if (reads) is_troubled = false;
    // Without an event to continue after, the server cannot know that there is a gap.
    if (reads && was_connected && reader.last_id().empty()) print({"reset", "{}"}, as_json);
    was_connected = was_connected || reads;
    std::string trouble = opened ? opened->failure().message : opened.error().message;
    while (reads) {
      Result<std::string> more = co_await client.async_read_more(silence_max);
      reads = more && !more->empty();
      if (!reads) trouble = more ? "The server ended the stream." : more.error().message;
      if (!reads) break;
      for (const Event& event : reader.take(*more)) print(event, as_json);
      if (!std::cout) co_return number(ExitCode::io);
    }
    client.close();
    reader.begin_again();
    if (!is_troubled) std::cerr << "locker: " << printable(trouble) << " Trying again.\n";
    is_troubled = true;
    timer.expires_after(pause_before_retry);
    co_await timer.async_wait(net::use_awaitable);
  }
}

}  // namespace

int run_watch_command(const Arguments& arguments) {
  CommandLine line{help, options::options_description{"Options"}};
  line.visible.add_options()("json", "print one JSON object per line");
  line.hidden.add_options()("prefix", options::value<std::string>());
  line.positional.add("prefix", 1);
  const auto read = read_arguments(arguments, std::move(line));
  if (const int* const code = std::get_if<int>(&read)) return *code;
  const auto& values = std::get<options::variables_map>(read);
  const auto server = server_of(values);
  if (!server) return complain(server.error());
  outlive_failing_output();
  net::io_context io_context{1};
  HttpClient client{io_context, *server};
  const Call call = events_call(text_of(values, "prefix"));
  return run_to_end(io_context, async_watch(client, call, values.count("json") != 0));
}

}  // namespace locker::client
