using Grpc.Core;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Tests.Fakes;

sealed class FakeIdentity(FakeWorker worker) : Identity.IdentityBase
{
    public override Task<ConfirmReply> Confirm(ConfirmRequest request, ServerCallContext context) =>
        Task.FromResult(new ConfirmReply { Proof = worker.Key.Prove(request.Challenge) });
}
