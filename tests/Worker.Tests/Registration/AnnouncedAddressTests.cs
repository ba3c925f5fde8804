using LlamaCluster.Cluster;
using LlamaCluster.Worker.Registration;

namespace LlamaCluster.Worker.Tests.Registration;

public class AnnouncedAddressTests
{
    [Theory]
    [InlineData("http://127.0.0.1:7000", "http://127.0.0.1:7000/")]
    [InlineData("http://[::1]:7000", "http://[::1]:7000/")]
    [InlineData("http://0.0.0.0:7000", "http://127.0.0.1:7000/")]
    [InlineData("http://[::]:7000", "http://127.0.0.1:7000/")]
    [InlineData("https://0.0.0.0:7000", "https://127.0.0.1:7000/")]
    public async Task OfAsync_TowardsACoordinatorOnLoopback_IsReachable(string bound, string announced) =>
        Assert.Equal(
            announced, (await AnnouncedAddress.OfAsync(ListenAddress.Parse(bound), new Uri("http://127.0.0.1:81"), CancellationToken.None)).ToString());
}
