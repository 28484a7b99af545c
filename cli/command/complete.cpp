#include <algorithm>
#include <ranges>

#include "cli/command/commands.hpp"
#include "cli/completion.hpp"
#include "cli/table.hpp"

namespace balancer::cli {
namespace {

// Nobody waits longer for a key press.
constexpr Milliseconds kLookupTime{1'500};

template <class Request, class Response>
Response ask(
    Session& session, grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*)
) {
    auto answer = session.client.call(method, Request(), kLookupTime);
    return answer ? *std::move(answer) : Response();
}

std::vector<Candidate> names(Session& session, Lookup lookup) {
    std::vector<Candidate> found;
    switch (lookup) {
        case Lookup::kProvider: {
            const auto answer = ask(session, &v1::Admin::Stub::ListProviders);
            for (const auto& view : answer.providers()) {
                found.push_back({view.provider().name(), view.provider().base_url()});
            }
            break;
        }
        case Lookup::kPattern: {
            const auto answer = ask(session, &v1::Admin::Stub::ListRoutes);
            for (const auto& route : answer.routes()) found.push_back({route.pattern(), ""});
            break;
        }
        case Lookup::kDataPlane: {
            const auto answer = ask(session, &v1::Admin::Stub::ListDataPlanes);
            for (const auto& view : answer.data_planes()) found.push_back({view.dp_id(), view.build()});
            break;
        }
        case Lookup::kAccount: {
            const auto answer = ask(session, &v1::Admin::Stub::ListAccounts);
            for (const auto& view : answer.accounts()) found.push_back({view.name(), view.email()});
            break;
        }
        case Lookup::kSealingKey: {
            const auto answer = ask(session, &v1::Admin::Stub::ListSealingKeys);
            for (const auto& key : answer.keys()) found.push_back({key.id(), key.active() ? "active" : ""});
            break;
        }
        case Lookup::kNone:
        case Lookup::kFile: break;
    }
    return found;
}

}  // namespace

int print_completion(Session& session, const Completion& completion) {
    if (completion.lookup == Lookup::kFile) {
        session.out << ":files\n";
        return kDone;
    }
    std::vector<Candidate> all = completion.candidates;
    std::ranges::copy_if(names(session, completion.lookup), std::back_inserter(all), [&](const Candidate& one) {
        return one.word.starts_with(completion.typed);
    });
    for (const Candidate& one : all) {
        session.out << completion.before << printable(one.word) << '\t' << printable(one.description) << '\n';
    }
    return kDone;
}

}  // namespace balancer::cli
