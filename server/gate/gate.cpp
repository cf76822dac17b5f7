#include "server/gate/gate.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/url_path.hpp"
#include "server/access/audit_line.hpp"
#include "server/access/credentials.hpp"
#include "server/audit_note.hpp"
#include "server/calls/error_answer.hpp"

namespace locker::server {
namespace {

using core::Right;
using Who = RequiredAccess::Who;

std::string url_path(std::string_view packed) {
  std::string text;
  core::append_url_path(core::PathView{packed}, text);
  return text;
}

std::string named(const AccessKey& key) { return "The key '" + key.name + "' "; }

bool may_somewhere(const AccessKey& key, Right right) {
  return std::any_of(key.rules.begin(), key.rules.end(), [&](const core::AccessRule& rule) {
    return key.may(right, core::PathView{rule.packed_path});
  });
}

/// Returns " Add prefix=/a or prefix=/b." with the paths where the key has the right; empty if
/// there are none.
std::string advise_prefixes(const AccessKey& key, Right right) {
  std::set<std::string> paths;
  for (const core::AccessRule& rule : key.rules) {
    if (key.may(right, core::PathView{rule.packed_path})) paths.insert(url_path(rule.packed_path));
  }
  std::string text;
  for (const std::string& path : paths) {
    text += text.empty() ? " Add prefix=" : " or prefix=";
    text += path;
  }
  return text.empty() ? text : text + ".";
}

/// Returns the request as the audit log describes it.
AuditedRequest audited_request(const Request& request, const Caller& caller,
                               const RequiredAccess& required) {
  AuditedRequest audited;
  if (caller.key) audited.key = caller.key->name;
  if (request.peer != nullptr) audited.peer = *request.peer;
  audited.action = required.action;
  for (const RequiredAccess::At& at : required.at) audited.packed_paths.push_back(at.packed_path);
  return audited;
}

}  // namespace

/// A request that passes through the gate.
struct Gate::Visit {
  const Request& request;
  RequiredAccess required;
  Caller caller;
};

/// Logs that a grant was taken back because its answer could not be delivered.
class Gate::AuditedDelivery final : public Delivery {
 public:
  AuditedDelivery(AuditLog& audit, AuditedRequest request, AuditNote note,
                  std::unique_ptr<Delivery> inner)
      : audit_(audit),
        request_(std::move(request)),
        note_(std::move(note)),
        inner_(std::move(inner)) {}
  ~AuditedDelivery() override {
    if (is_delivered_) return;
    inner_.reset();
    note_.outcome = AuditOutcome::taken_back;
    try {
      audit_.add(audit_line(request_, note_));
    } catch (const std::bad_alloc&) {
      audit_.lose_line();
    }
  }
  AuditedDelivery(const AuditedDelivery&) = delete;
  AuditedDelivery& operator=(const AuditedDelivery&) = delete;
  void delivered() override {
    is_delivered_ = true;
    inner_->delivered();
  }

 private:
  AuditLog& audit_;
  const AuditedRequest request_;
  AuditNote note_;
  std::unique_ptr<Delivery> inner_;
  bool is_delivered_ = false;
};

/// A waiting request. Gets what it waited for only if its key still permits it when the wait ends;
/// the audit log records the outcome.
class Gate::GatedPending final : public PendingAnswer {
 public:
  GatedPending(Gate& gate, Visit visit, std::unique_ptr<PendingAnswer> inner)
      : gate_(gate),
        audited_(gate.audit_ == nullptr
                     ? AuditedRequest{}
                     : audited_request(visit.request, visit.caller, visit.required)),
        caller_(std::move(visit.caller)),
        required_(std::move(visit.required)),
        inner_(std::move(inner)) {}
  void start(Waker& waker) override { inner_->start(waker); }
  std::optional<Index> take_back(Response& response) override {
    return inner_->take_back(response);
  }
  bool abandon() override { return inner_->abandon(); }
  void finish(Response& response) override {
    if (caller_.key) {
      finish_with_key(response);
    } else {
      inner_->finish(response);
    }
    gate_.report(audited_, response);
  }

 private:
  void finish_with_key(Response& response) {
    const auto now = gate_.keys_->find_again(*caller_.key);
    // The answer shows what the key may read at this point.
    if (now) inner_->set_caller({now, caller_.is_audited});
    inner_->finish(response);
    const auto is_allowed = [&](const RequiredAccess::At& at) {
      return now->may(at.right, core::PathView{at.packed_path});
    };
    if (now && std::all_of(required_.at.begin(), required_.at.end(), is_allowed)) return;
    const auto taken_back = inner_->take_back(response);
    if (!taken_back) return;  // a force: it was allowed when it began
    note_taken_back(response);
    ++gate_.metrics_.refused_401;
    const CallKind call = response.call;
    response = {};
    response.index = *taken_back;  // the answer waits until this is durable
    response.call = call;
    answer_error(401, "unknown_key",
                 "The key of this request was revoked, or lost its rules, while the request "
                 "waited; the locks that it waited for are not held.",
                 response);
    response.audit = std::make_unique<AuditNote>();
    response.audit->outcome = AuditOutcome::refused_401;
  }

  /// Logs that the grant was taken back. Otherwise the log would lack the end of a shared lock that
  /// this grant had upgraded.
  void note_taken_back(Response& response) const {
    if (!response.audit) return;
    response.audit->outcome = AuditOutcome::taken_back;
    gate_.audit_->add(audit_line(audited_, *response.audit));
  }

  Gate& gate_;
  const AuditedRequest audited_;
  const Caller caller_;
  const RequiredAccess required_;
  const std::unique_ptr<PendingAnswer> inner_;
};

/// A stream that ends when the key which opened it is revoked or loses the right to read.
class Gate::KeyedStream final : public Stream {
 public:
  KeyedStream(const KeyRing& keys, KeyRing::Pointer key, std::string packed_prefix,
              std::unique_ptr<Stream> inner)
      : keys_(keys),
        key_(std::move(key)),
        packed_prefix_(std::move(packed_prefix)),
        inner_(std::move(inner)) {}
  void start(Waker& waker) override { inner_->start(waker); }
  Outcome read(std::string& out, std::size_t limit) override {
    const auto now = keys_.find_again(*key_);
    const bool is_good = now && now->may(Right::read, core::PathView{packed_prefix_});
    return is_good ? inner_->read(out, limit) : Outcome::over;
  }
  void append_comment(std::string& out) override { inner_->append_comment(out); }

 private:
  const KeyRing& keys_;
  const KeyRing::Pointer key_;
  const std::string packed_prefix_;
  const std::unique_ptr<Stream> inner_;
};

void Gate::answer(const Request& request, Response& response) {
  Visit visit{request, {}, {nullptr, audit_ != nullptr}};
  if (keys_ != nullptr && !identify(visit)) return answer_stranger(visit, response);
  visit.required = required_access(request);
  if (visit.required.who == Who::anybody) return inner_.answer(request, response);
  if (keys_ != nullptr && !is_permitted(visit, response)) return;
  Request admitted = request;
  admitted.caller = &visit.caller;
  inner_.answer(admitted, response);
  conclude(visit, response);
}

bool Gate::answer_early(const Request& request, Response& response) {
  Visit visit{request, {}, {}};
  if (keys_ == nullptr || identify(visit)) return false;
  answer_stranger(visit, response);
  return true;
}

void Gate::answer_stranger(Visit& visit, Response& response) {
  Request bodiless = visit.request;
  bodiless.body = {};  // only the audit log needs it, for few lines
  visit.required = required_access(bodiless);
  if (visit.required.who == Who::anybody) return inner_.answer(visit.request, response);
  refuse_stranger(visit, response);
}

void Gate::conclude(Visit& visit, Response& response) {
  if (response.pending) {
    response.pending =
        std::make_unique<GatedPending>(*this, std::move(visit), std::move(response.pending));
    return;
  }
  if (response.stream && visit.caller.key && !visit.required.at.empty()) {
    response.stream = std::make_unique<KeyedStream>(*keys_, visit.caller.key,
                                                    visit.required.at.front().packed_path,
                                                    std::move(response.stream));
  }
  if (response.status == 403) note_refusal(visit, response.status);
  if (audit_ != nullptr && response.audit) {
    report(audited_request(visit.request, visit.caller, visit.required), response);
  }
}

/// Writes to the audit log, if there is one and something was done.
void Gate::report(const AuditedRequest& request, Response& response) {
  if (audit_ == nullptr || !response.audit) return;
  audit_->add(audit_line(request, *response.audit));
  if (response.delivery) {
    response.delivery = std::make_unique<AuditedDelivery>(
        *audit_, request, std::move(*response.audit), std::move(response.delivery));
  }
}

bool Gate::identify(Visit& visit) const {
  const auto secret = read_credentials(visit.request.authorization);
  if (secret) visit.caller.key = keys_->find(*secret);
  return visit.caller.key != nullptr;
}

void Gate::refuse_stranger(Visit& visit, Response& response) {
  if (!read_credentials(visit.request.authorization)) {
    refuse(visit, 401, "no_key",
           "This server requires a key: send Authorization: Bearer <key>, or the key as the "
           "password of Basic.",
           response);
  } else {
    refuse(visit, 401, "unknown_key",
           "The server does not know this key; it was mistyped or revoked, or is for another "
           "server.",
           response);
  }
}

bool Gate::is_permitted(Visit& visit, Response& response) {
  const AccessKey& key = *visit.caller.key;
  const RequiredAccess& required = visit.required;
  if (required.who == Who::admin_only) {
    if (key.may(Right::admin, {})) return true;
    answer_error(404, "not_found", "There is nothing here; /v1/openapi.json lists all calls.",
                 response);
    return false;
  }
  if (required.fault) {
    refuse(visit, 400, "bad_request", required.fault->message, response);
    return false;
  }
  for (const RequiredAccess::At& at : required.at) {
    if (key.may(at.right, core::PathView{at.packed_path})) continue;
    std::string sentence = named(key) + "lacks the rule: ";
    sentence += core::name_of(at.right);
    sentence += ' ';
    sentence += url_path(at.packed_path);
    sentence += at.packed_path.empty() ? "." : ", or the same for a path above it.";
    if (required.wants_prefix) sentence += advise_prefixes(key, at.right);
    refuse(visit, 403, "not_permitted", sentence, response);
    return false;
  }
  if (required.somewhere && !may_somewhere(key, *required.somewhere)) {
    refuse(visit, 403, "not_permitted",
           named(key) + "has no rule with " + std::string{core::name_of(*required.somewhere)} + ".",
           response);
    return false;
  }
  return is_permitted_for_lease(visit, response);
}

// This check and the operation are not atomic: a client with the same token and another key can add
// a lock in between. Both clients have the token, so one of them gave it to the other.
bool Gate::is_permitted_for_lease(Visit& visit, Response& response) {
  const AccessKey& key = *visit.caller.key;
  const RequiredAccess& required = visit.required;
  if (!required.lease || key.may(required.lease_right, {})) return true;
  const LockService::Asker asker{key.number, static_cast<std::uint8_t>(required.lease_right)};
  const auto fits = service_.holds_only(*required.lease, asker, [&](core::PathView path) {
    return key.may(required.lease_right, path);
  });
  if (fits.answer) return true;
  response.index = fits.index;  // the refusal reveals what the lease holds
  refuse(visit, 403, "not_permitted",
         named(key) + "lacks a rule with " + std::string{core::name_of(required.lease_right)} +
             " for another path that this lease holds.",
         response);
  return false;
}

void Gate::refuse(Visit& visit, unsigned status, std::string_view code, const std::string& sentence,
                  Response& response) {
  // The page at /ui has its own dialog.
  response.asks_for_password = visit.request.requested_with.empty();
  if (visit.required.is_legacy_call) {
    answer_legacy_error(status, sentence, response);
  } else {
    answer_error(status, code, sentence, response);
  }
  if (status == 401 || status == 403) note_refusal(visit, status);
}

void Gate::note_refusal(Visit& visit, unsigned status) {
  ++(status == 401 ? metrics_.refused_401 : metrics_.refused_403);
  if (audit_ == nullptr) return;
  AuditNote note;
  AuditedRequest audited;
  if (visit.caller.key) {
    // The line has room for a few paths only: put those that the key may not access first.
    std::vector<RequiredAccess::At>& paths = visit.required.at;
    std::stable_partition(paths.begin(), paths.end(), [&](const RequiredAccess::At& at) {
      return !visit.caller.key->may(at.right, core::PathView{at.packed_path});
    });
    audited = audited_request(visit.request, visit.caller, visit.required);
  } else {
    const auto spent = strangers_.spend(LineBudget::Clock::now());
    if (!spent.is_allowed) return;
    note.left_out = spent.left_out;
    audited = audited_request(visit.request, visit.caller, required_access(visit.request));
  }
  if (audited.packed_paths.empty()) audited.target = visit.request.target.path;
  note.outcome = status == 401 ? AuditOutcome::refused_401 : AuditOutcome::refused_403;
  audit_->add(audit_line(audited, note));
}

}  // namespace locker::server
