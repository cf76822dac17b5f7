#include "client/command/pages.hpp"

#include <optional>

#include "client/library/run_to_end.hpp"

namespace locker::client {
namespace {

using Visit = std::function<void(const boost::json::object&)>;

// The arguments live in for_each_lock() below.
net::awaitable<std::optional<Failure>> async_list(HttpClient& client, const ListFilter& filter,
                                                  const Visit& visit) {
  std::string after;
  do {
    const Call call = list_call(filter, after);
    Result<Reply> answered = co_await client.async_call(call, milliseconds{10'000});
    if (!answered) co_return answered.error();
    if (answered->status != 200) co_return answered->failure();
    const boost::json::object page = answered->json();
    const auto* const locks = page.if_contains("locks");
    if (locks == nullptr || !locks->is_array()) co_return answered->failure();
    for (const auto& lock : locks->get_array()) {
      if (lock.is_object()) visit(lock.get_object());
    }
    const auto* const next = page.if_contains("next");
    after = next != nullptr && next->is_string() ? std::string{next->get_string()} : "";
  } while (!after.empty());
  co_return std::nullopt;
}

}  // namespace

Result<void> for_each_lock(const ServerAddress& server, const ListFilter& filter,
                           const Visit& visit) {
  net::io_context io_context{1};
  HttpClient client{io_context, server};
  const auto failed = run_to_end(io_context, async_list(client, filter, visit));
  if (failed) return *failed;
  return {};
}

}  // namespace locker::client
