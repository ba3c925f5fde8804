using Grpc.Core;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Tests.Fakes;

sealed class FakeSteps(FakeWorker worker) : Steps.StepsBase
{
    public override async Task Run(IAsyncStreamReader<StepRequest> requests, IServerStreamWriter<StepReply> replies, ServerCallContext context)
    {
        var stage = worker.Stage ?? throw new RpcException(new Status(StatusCode.FailedPrecondition, "nothing is loaded"));
        while (await requests.MoveNext(context.CancellationToken))
            switch (requests.Current)
            {
                case { Open: { } open }:
                    await replies.WriteAsync(
                        worker.OnOpen?.Invoke(open)
                            ?? new StepReply { Opened = new StepsOpened { ViewVersion = open.ViewVersion, Stage = (uint)stage.Number } });
                    break;
                case { Ended: { } ended }:
                    stage.End(ended.SequenceIds);
                    break;
                case { Step: { } step }:
                    foreach (var reply in await worker.OnStep(step, stage.Run(step))) await replies.WriteAsync(reply);
                    break;
            }
    }
}
