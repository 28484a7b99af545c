#include "controlplane/oauth/account.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/aead.hpp"
#include "base/bytes.hpp"
#include "base/file.hpp"
#include "base/utf8.hpp"

namespace balancer::controlplane {
namespace {

using Json = nlohmann::json;

constexpr int kSchema = 1;
constexpr std::size_t kNameBytesMax = 100;

Json to_json(const AccountUse& use) {
    Json out{
        {"status", use.status},
        {"claim", use.claim},
        {"reset", use.reset},
        {"five_hour_reset", use.five_hour_reset},
        {"seven_day_reset", use.seven_day_reset},
    };
    if (use.five_hour) out["five_hour"] = *use.five_hour;
    if (use.seven_day) out["seven_day"] = *use.seven_day;
    return out;
}

// Fields of another type than they should have end the reading.
class Reader {
  public:
    explicit Reader(const Json& object) : object_(object) {}

    template <class T>
    void read(const char* key, T& value) const {
        auto found = object_.find(key);
        if (found != object_.end()) found->get_to(value);
    }

    void read(const char* key, std::optional<double>& value) const {
        auto found = object_.find(key);
        if (found != object_.end()) value = found->get<double>();
    }

    void read(const char* key, SecretBytes& value) const {
        auto found = object_.find(key);
        if (found != object_.end()) value = SecretBytes(found->get_ref<const std::string&>());
    }

  private:
    const Json& object_;
};

AccountUse read_use(const Json& json) {
    AccountUse use;
    Reader reader(json);
    reader.read("status", use.status);
    reader.read("claim", use.claim);
    reader.read("reset", use.reset);
    reader.read("five_hour", use.five_hour);
    reader.read("five_hour_reset", use.five_hour_reset);
    reader.read("seven_day", use.seven_day);
    reader.read("seven_day_reset", use.seven_day_reset);
    return use;
}

Account read_account(const Json& json) {
    Account out;
    Reader reader(json);
    reader.read("name", out.name);
    reader.read("email", out.email);
    reader.read("account_uuid", out.account_uuid);
    reader.read("organization", out.organization);
    reader.read("access_token", out.access_token);
    reader.read("refresh_token", out.refresh_token);
    reader.read("scopes", out.scopes);
    reader.read("generation", out.generation);
    reader.read("trust", out.trust);
    reader.read("logged_in_at", out.logged_in_at);
    reader.read("issued_at", out.issued_at);
    reader.read("expires_at", out.expires_at);
    reader.read("refresh_at", out.refresh_at);
    reader.read("uncertain", out.uncertain);
    reader.read("needs_login", out.needs_login);
    reader.read("unauthorized", out.unauthorized);
    reader.read("failures", out.failures);
    reader.read("fruitless", out.fruitless);
    reader.read("refreshes", out.refreshes);
    reader.read("last_refresh_at", out.last_refresh_at);
    reader.read("last_refresh", out.last_refresh);
    reader.read("problem", out.problem);
    reader.read("use_at", out.use_at);
    reader.read("held_until", out.held_until);
    reader.read("held_why", out.held_why);
    if (auto holds = json.find("family_holds"); holds != json.end()) {
        for (const Json& each : *holds) {
            Reader hold_reader(each);
            FamilyHold& hold = out.family_holds.emplace_back();
            hold_reader.read("family", hold.family);
            hold_reader.read("until", hold.until);
        }
    }
    if (auto claim = json.find("claim"); claim != json.end()) {
        Reader claim_reader(*claim);
        claim_reader.read("attempt", out.claim.emplace().attempt);
        claim_reader.read("at", out.claim->at);
        if (auto key = claim->find("answer_key"); key != claim->end()) {
            std::optional<std::string> raw = from_hex(key->get_ref<const std::string&>());
            if (raw && raw->size() == kAeadKeyBytes) out.claim->answer_key = SecretBytes(*raw);
            if (raw) wipe(*raw);
        }
    }
    if (auto use = json.find("use"); use != json.end()) out.use = read_use(*use);
    return out;
}

}  // namespace

bool is_account_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax && is_utf8(name) &&
           std::none_of(name.begin(), name.end(), [](char c) {
               return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '/';
           });
}

RefreshClaim RefreshClaim::copy() const {
    return {attempt, at, answer_key.copy()};
}

LoginState state_of(const Account& account) {
    if (account.needs_login) return LoginState::kNeedsLogin;
    if (account.claim) return LoginState::kRefreshing;
    return account.uncertain ? LoginState::kUncertain : LoginState::kOk;
}

Account Account::copy() const {
    Account out;
    out.name = name;
    out.email = email;
    out.account_uuid = account_uuid;
    out.organization = organization;
    out.access_token = access_token.copy();
    out.refresh_token = refresh_token.copy();
    out.scopes = scopes;
    out.generation = generation;
    out.trust = trust;
    out.logged_in_at = logged_in_at;
    out.issued_at = issued_at;
    out.expires_at = expires_at;
    out.refresh_at = refresh_at;
    if (claim) out.claim = claim->copy();
    out.uncertain = uncertain;
    out.needs_login = needs_login;
    out.unauthorized = unauthorized;
    out.failures = failures;
    out.fruitless = fruitless;
    out.refreshes = refreshes;
    out.last_refresh_at = last_refresh_at;
    out.last_refresh = last_refresh;
    out.problem = problem;
    out.use = use;
    out.use_at = use_at;
    out.held_until = held_until;
    out.held_why = held_why;
    out.family_holds = family_holds;
    out.headroom = headroom;
    return out;
}

std::string to_record(const Account& account) {
    Json json{
        {"schema", kSchema},
        {"name", account.name},
        {"email", account.email},
        {"account_uuid", account.account_uuid},
        {"organization", account.organization},
        {"access_token", std::string(account.access_token.view())},
        {"refresh_token", std::string(account.refresh_token.view())},
        {"scopes", account.scopes},
        {"generation", account.generation},
        {"trust", account.trust},
        {"logged_in_at", account.logged_in_at},
        {"issued_at", account.issued_at},
        {"expires_at", account.expires_at},
        {"refresh_at", account.refresh_at},
        {"uncertain", account.uncertain},
        {"needs_login", account.needs_login},
        {"unauthorized", account.unauthorized},
        {"failures", account.failures},
        {"fruitless", account.fruitless},
        {"refreshes", account.refreshes},
        {"last_refresh_at", account.last_refresh_at},
        {"last_refresh", account.last_refresh},
        {"problem", account.problem},
        {"held_until", account.held_until},
        {"held_why", account.held_why},
        {"use", to_json(account.use)},
        {"use_at", account.use_at},
    };
    for (const FamilyHold& hold : account.family_holds) {
        json["family_holds"].push_back(Json{{"family", hold.family}, {"until", hold.until}});
    }
    if (account.claim) {
        json["claim"] = Json{{"attempt", account.claim->attempt}, {"at", account.claim->at}};
        if (const SecretBytes& key = account.claim->answer_key; !key.empty()) json["claim"]["answer_key"] = to_hex(key.view());
    }
    std::string record = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    wipe(json["access_token"].get_ref<std::string&>());
    wipe(json["refresh_token"].get_ref<std::string&>());
    if (account.claim && json["claim"].contains("answer_key")) wipe(json["claim"]["answer_key"].get_ref<std::string&>());
    return record;
}

Result<Account> from_record(std::string_view record) {
    Json json = Json::parse(record, nullptr, false);
    if (!json.is_object()) return invalid("it is no account");
    // A later version may mean something else by the same words, and a token spent by mistake does not come back.
    auto schema = json.find("schema");
    if (schema == json.end() || *schema != kSchema) return invalid("it was written by a newer version");
    try {
        Account account = read_account(json);
        for (const char* key : {"access_token", "refresh_token"}) {
            if (json.contains(key)) wipe(json[key].get_ref<std::string&>());
        }
        if (account.claim && json["claim"].contains("answer_key")) wipe(json["claim"]["answer_key"].get_ref<std::string&>());
        if (!is_account_name(account.name) || account.access_token.empty()) return invalid("it is no account");
        return account;
    } catch (const Json::exception&) {
        return invalid("a field of it is of another type than it should be");
    }
}

}  // namespace balancer::controlplane
