using Grpc.Core;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Services;

namespace LlamaCluster.Worker.Tests.Services;

public class LoadFailuresTests
{
    public static TheoryData<Exception, StatusCode?> Cases => new()
    {
        { new RpcException(new Status(StatusCode.NotFound, "x")), StatusCode.NotFound },
        { new RpcException(Status.DefaultSuccess), null },
        { new ModelFormatException("x"), StatusCode.DataLoss },
        { new OutOfMemoryException(), StatusCode.ResourceExhausted },
        { new IOException("disk full"), StatusCode.Aborted },
        { new TimeoutException("x"), StatusCode.Aborted },
        { new OperationCanceledException(), null },
        { new InvalidOperationException("a bug"), null },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void ToStatus_EachKind_IsItsStatusOrNone(Exception e, StatusCode? code) => Assert.Equal(code, LoadFailures.ToStatus(e)?.StatusCode);
}
