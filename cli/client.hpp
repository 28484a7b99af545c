// The connection to a control plane's Admin service.
#pragma once

#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <string>

#include "balancer/v1/admin.grpc.pb.h"
#include "base/clock.hpp"
#include "base/result.hpp"

namespace balancer::cli {

// One call at a time. Connects at the first call.
class Client {
  public:
    struct Options {
        std::string server;      // HOST:PORT
        std::string token_file;  // read at the first call
        Milliseconds timeout{10'000};
    };

    explicit Client(Options options);

    // `method` is a member of the stub: client.call(&v1::Admin::Stub::GetStatus, request). Errors
    // say what happened and what to do; is_unreachable tells those of the connection and the token
    // from the answers "no". `timeout`: in place of the options' one, for calls that take longer.
    template <class Request, class Response>
    Result<Response> call(
        grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
        const Request& request,
        Milliseconds timeout = Milliseconds(0)
    ) {
        grpc::ClientContext context;
        if (timeout.count() == 0) timeout = options_.timeout;
        if (Result<void> ready = prepare(context, timeout); !ready) return ready.error();
        Response response;
        grpc::Status status = (stub_.get()->*method)(&context, request, &response);
        if (!status.ok()) return to_error(status);
        return response;
    }

    // A call with many answers, each given to `take` as it comes, which says whether to go on.
    // `endless`: no deadline. Errors as of call().
    template <class Request, class Response>
    Result<void> watch(
        std::unique_ptr<grpc::ClientReader<Response>> (v1::Admin::Stub::*method)(
            grpc::ClientContext*, const Request&
        ),
        const Request& request,
        bool endless,
        const std::function<bool(const Response&)>& take
    ) {
        grpc::ClientContext context;
        if (Result<void> ready = prepare(context, endless ? Milliseconds(0) : options_.timeout); !ready) return ready.error();
        auto reader = (stub_.get()->*method)(&context, request);
        Response response;
        while (reader->Read(&response)) {
            if (take(response)) continue;
            context.TryCancel();
            reader->Finish();
            return {};
        }
        grpc::Status status = reader->Finish();
        if (!status.ok()) return to_error(status);
        return {};
    }

    const std::string& server() const { return options_.server; }

  private:
    // `timeout` 0: no deadline.
    Result<void> prepare(grpc::ClientContext& context, Milliseconds timeout);
    Error to_error(const grpc::Status& status) const;

    Options options_;
    std::unique_ptr<v1::Admin::Stub> stub_;
    std::string token_;
};

bool is_unreachable(const Error& error);

// Of those: it may be back soon.
bool is_away(const Error& error);

}  // namespace balancer::cli
