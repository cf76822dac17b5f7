#include "tests/histories/torture_client.hpp"

#include <algorithm>

#include "tests/histories/http_request.hpp"

namespace locker::histories {
namespace {

using std::chrono::milliseconds;

constexpr double reply_is_lost = 0.04;
constexpr double leaves_while_waiting = 0.1;
constexpr double gives_up_after_leaving = 0.2;
constexpr milliseconds busy_pause{10};

bool is_busy(const Operation& operation) {
  return operation.status == 503 || operation.status == 507;
}

}  // namespace

TortureClient::TortureClient(TortureRun& run, unsigned number)
    : run_(run),
      number_(number),
      choices_(run.seed * 1'000'003 + number),
      connection_(run.io_context, run.port) {}

net::awaitable<void> TortureClient::live() {
  co_await sleep_for(choices_.about(run_.pace_ms));
  while (!run_.is_over) {
    const double dice = choices_.fraction();
    if (dice < 0.50) {
      co_await use_lease(dice < 0.05);
    } else if (dice < 0.70) {
      co_await use_legacy_calls();
    } else if (dice < 0.985) {
      co_await look_around();
    } else {
      co_await force();
    }
    co_await sleep_for(choices_.about(run_.pace_ms));
  }
}

/// One exchange, written down.
net::awaitable<Operation> TortureClient::ask(Operation operation, bool may_lose_the_reply) {
  std::optional<milliseconds> leaves_after;
  if (may_lose_the_reply && choices_.chance(reply_is_lost)) {
    leaves_after = milliseconds{choices_.chance(0.5) ? 0 : 1 + choices_.below(4)};
  } else if (may_lose_the_reply && operation.wait_ms != 0 &&
             choices_.chance(leaves_while_waiting)) {
    leaves_after = milliseconds{1 + choices_.below(static_cast<std::size_t>(operation.wait_ms))};
  }
  const HttpConnection::Request request = http_request_of(operation);
  run_.doing[number_] = request.method + " " + request.target + " " + request.body;
  HttpConnection::Exchange exchange = co_await connection_.ask(request, leaves_after);
  run_.doing[number_].clear();
  operation.sent = exchange.sent;
  operation.closed = exchange.closed;
  operation.got = exchange.got;
  operation.status = exchange.status;
  operation.index = exchange.index;
  operation.body = std::move(exchange.body);
  run_.on_operation(operation);
  operation.reply = {};
  if (!operation.body.empty()) operation.reply = parse_reply(operation.body);
  co_return operation;
}

/// For requests that may be sent again. An acquire can be given up on the way: it is not answered
/// then. What takes a lock without TTL must not lose its reply: the server could come to read it
/// after the release, and nobody would ever end that lock.
net::awaitable<Operation> TortureClient::ask_until_answered(Operation operation,
                                                            bool may_lose_the_reply) {
  for (;;) {
    Operation asked = co_await ask(operation, may_lose_the_reply);
    if (asked.is_answered() && !is_busy(asked)) co_return asked;
    if (!asked.is_answered() && asked.is_acquire() && may_lose_the_reply &&
        choices_.chance(gives_up_after_leaving)) {
      co_return asked;
    }
    if (choices_.chance(0.5)) co_await sleep_for(busy_pause);
    ++operation.attempt;
  }
}

std::string TortureClient::fresh_owner() {
  std::string owner = "c" + std::to_string(number_) + "." + std::to_string(++leases_);
  run_.owners[number_] = owner;
  return owner;
}

TortureClient::Lease TortureClient::fresh_lease() {
  Lease lease;
  lease.owner = fresh_owner();
  if (choices_.chance(0.8)) lease.token = choices_.token();
  lease.ttl_ms = choices_.one_of<std::int64_t>({300, 300, 500, 800, 1'200, 2'000, 5'000});
  // Only a lease with a token of our own can be given back for certain.
  if (!lease.token.empty() && choices_.chance(0.2)) lease.ttl_ms.reset();
  return lease;
}

Operation TortureClient::about(const Lease& lease, Kind kind) const {
  Operation operation;
  operation.kind = kind;
  operation.client = number_;
  operation.token = lease.token;
  operation.owner = lease.owner;
  return operation;
}

net::awaitable<void> TortureClient::use_lease(bool opens_it) {
  Lease lease = fresh_lease();
  if (opens_it && !lease.token.empty()) {
    Operation open = about(lease, Kind::open_lease);
    open.ttl_ms = lease.ttl_ms;
    lease.is_opened = true;
    const bool may_lose = lease.ttl_ms.has_value();
    co_await ask_until_answered(open, may_lose);
    if (choices_.chance(0.2)) co_await ask_until_answered(open, may_lose);  // the same answer
  }
  const std::size_t count = 1 + choices_.below(3);
  for (std::size_t i = 0; i < count && !lease.is_over; ++i) co_await take(lease);
  const std::size_t uses = choices_.below(3);
  for (std::size_t i = 0; i < uses && !lease.is_over && !lease.held.empty(); ++i) {
    co_await use_held(lease);
  }
  co_await end(lease);
}

net::awaitable<void> TortureClient::take(Lease& lease) {
  Operation take = about(lease, choices_.chance(0.75) ? Kind::acquire : Kind::several);
  take.ttl_ms = lease.ttl_ms;
  if (take.kind == Kind::acquire) {
    take.wanted.push_back(choices_.wanted());
  } else {
    take.wanted = choices_.several_wanted();
    if (choices_.chance(0.5)) take.any = 1 + choices_.below(take.wanted.size() - 1);
  }
  if (choices_.chance(0.6)) {
    take.wait_ms = choices_.one_of<std::int64_t>({20, 50, 100, 200, 400, 800, 1'500});
  }
  if (choices_.chance(0.1))
    take.lock_delay_ms = 50 + static_cast<std::int64_t>(choices_.below(300));
  // Long ones, so that the journal grows and is compacted.
  if (choices_.chance(0.4)) take.meta = "m" + std::string(choices_.below(600), 'x');
  // Not with a conditional operator, which g++ 12 compiles wrongly around co_await.
  Operation taken;
  if (lease.token.empty()) {
    taken = co_await ask(take, true);
  } else {
    taken = co_await ask_until_answered(take, lease.ttl_ms.has_value());
  }
  if (taken.status == 200 || taken.status == 201) {
    lease.token = taken.reply.token;
    for (const Listed& lock : taken.reply.locks) lease.held.push_back({lock.path, lock.shape});
    run_.grants[number_] = {taken.reply.locks.front().path, taken.reply.fence};
    if (choices_.chance(0.1)) {  // the same again: the same answer
      take.token = lease.token;
      co_await ask_until_answered(take, lease.ttl_ms.has_value());
    }
  } else if (taken.status == 410 || (!taken.is_answered() && lease.token.empty()) ||
             is_busy(taken)) {
    lease.is_over = true;
  } else if (taken.status == 409 && taken.reply.error == "deadlock") {
    co_await end(lease);
    lease.is_over = true;
  }
}

net::awaitable<void> TortureClient::use_held(Lease& lease) {
  co_await sleep_for(choices_.about(run_.pace_ms));
  const double dice = choices_.fraction();
  if (dice < 0.35) {
    Operation renew = about(lease, Kind::renew);
    // The reply to another TTL is not lost: nobody could know how long the lease lives then.
    const bool changes = lease.ttl_ms && choices_.chance(0.2);
    if (changes) {
      lease.ttl_ms = *lease.ttl_ms == 700 ? 1'000 : 700;
      renew.ttl_ms = lease.ttl_ms;
    }
    Operation renewed;
    if (changes) {
      renewed = co_await ask(renew, false);
    } else {
      renewed = co_await ask_until_answered(renew);
    }
    lease.is_over = renewed.status != 200;
  } else if (dice < 0.5) {
    co_await ask_until_answered(about(lease, Kind::look_at_lease));
  } else if (dice < 0.75) {
    co_await change_mode(lease);
  } else if (dice < 0.85) {
    const Wanted gone = lease.held.back();
    lease.held.pop_back();
    Operation release = about(lease, Kind::release);
    release.wanted.push_back(gone);
    co_await ask_until_answered(release);
    if (choices_.chance(0.3)) co_await ask_until_answered(release);
  } else if (dice < 0.92) {
    Operation differs = about(lease, Kind::acquire);  // the token is in use here
    differs.ttl_ms = lease.ttl_ms;
    differs.wanted.push_back(choices_.one_of(lease.held));
    differs.wanted.front().shape.lock_parents = !differs.wanted.front().shape.lock_parents;
    co_await ask_until_answered(differs, lease.ttl_ms.has_value());
  } else {
    Operation foreign;
    foreign.kind = Kind::release;
    foreign.client = number_;
    foreign.token = choices_.token();
    foreign.wanted.push_back(choices_.one_of(lease.held));
    co_await ask_until_answered(foreign);
  }
}

net::awaitable<void> TortureClient::change_mode(Lease& lease) {
  Wanted& held = lease.held[choices_.below(lease.held.size())];
  Operation change = about(lease, Kind::acquire);
  change.ttl_ms = lease.ttl_ms;
  change.wanted.push_back(held);
  change.wanted.front().shape.is_shared = !held.shape.is_shared;
  if (choices_.chance(0.7)) change.wait_ms = 20 + static_cast<std::int64_t>(choices_.below(400));
  const Operation changed = co_await ask_until_answered(change, lease.ttl_ms.has_value());
  if (changed.status == 201) held = change.wanted.front();
  lease.is_over = changed.status == 410;
}

net::awaitable<void> TortureClient::end(Lease& lease) {
  if (lease.token.empty()) co_return;
  co_await sleep_for(choices_.about(run_.pace_ms));
  const double dice = choices_.fraction();
  if (lease.ttl_ms && dice < 0.15) {
    if (choices_.chance(0.5)) co_return;  // it ends by itself
    co_await sleep_for(
        milliseconds{*lease.ttl_ms + 1 + static_cast<std::int64_t>(choices_.below(300))});
    if (choices_.chance(0.5)) {  // who slept too long hears so
      co_await ask_until_answered(about(lease, Kind::renew));
    } else if (!lease.held.empty()) {
      co_await release_each(lease);
    }
    co_return;
  }
  if (dice < 0.6 || lease.is_opened || !lease.ttl_ms) {
    co_await ask_until_answered(about(lease, Kind::release_all));
    if (choices_.chance(0.1)) co_await ask_until_answered(about(lease, Kind::release_all));
    co_return;
  }
  co_await release_each(lease);
}

net::awaitable<void> TortureClient::release_each(Lease& lease) {
  const Kind kind = choices_.chance(0.3) ? Kind::nowant : Kind::release;
  for (const Wanted& held : lease.held) {
    Operation release = about(lease, kind);
    release.wanted.push_back(held);
    co_await ask_until_answered(release);
  }
}

net::awaitable<void> TortureClient::use_legacy_calls() {
  Operation canhaz;
  canhaz.kind = Kind::canhaz;
  canhaz.client = number_;
  canhaz.owner = fresh_owner();
  canhaz.wanted.push_back(choices_.wanted());
  canhaz.wanted.front().shape.is_shared = false;
  const Operation asked = co_await ask(canhaz, true);
  if (!asked.reply.ok) co_return;  // or it is not known
  co_await sleep_for(choices_.about(run_.pace_ms));
  if (choices_.chance(0.05)) co_return;  // it ends by itself
  Operation nowant = canhaz;
  nowant.kind = choices_.chance(0.8) ? Kind::nowant : Kind::release;
  nowant.token = asked.reply.token;
  co_await ask_until_answered(nowant);
  if (choices_.chance(0.1)) co_await ask_until_answered(nowant);
}

net::awaitable<void> TortureClient::look_around() {
  Operation look;
  look.client = number_;
  look.wanted.push_back(choices_.wanted());
  look.kind = choices_.chance(0.5) ? Kind::dohaz : Kind::look;
  co_await ask_until_answered(look);
}

net::awaitable<void> TortureClient::force() {
  Operation force;
  force.kind = Kind::force;
  force.client = number_;
  const std::size_t other = choices_.below(run_.owners.size());
  const double dice = choices_.fraction();
  if (dice < 0.4) {
    force.filter.path = choices_.path();
  } else if (dice < 0.7) {
    force.filter.owner = run_.owners[other];
  } else if (dice < 0.8) {
    force.filter.prefix = choices_.path();
    if (force.filter.prefix == "/") force.filter.prefix = "/a/a/a";
  } else {
    force.filter.path = run_.grants[other].first;
    force.filter.fence = run_.grants[other].second;
  }
  if (force.filter.path.empty() && force.filter.prefix.empty() && force.filter.owner.empty()) {
    co_return;  // nobody had a lock yet
  }
  co_await ask_until_answered(force);
}

}  // namespace locker::histories
