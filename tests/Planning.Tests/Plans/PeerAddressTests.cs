using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning.Tests.Plans;

public class PeerAddressTests
{
    [Theory]
    [InlineData("http://127.0.0.1:7000")]
    [InlineData("http://[::1]:7000")]
    [InlineData("https://worker-3.example:443")]
    public void TryParse_HostAndPort_RoundTrips(string text)
    {
        Assert.True(PeerAddress.TryParse(text, out var address));
        Assert.Equal(new Uri(text), new Uri(PeerAddress.Format(address)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("worker:7000")]
    [InlineData("ftp://worker:7000")]
    [InlineData("http://worker:0")]
    [InlineData("http://worker:7000/path")]
    [InlineData("http://user:secret@worker:7000")]
    [InlineData("file:///etc/passwd")]
    [InlineData("http://")]
    public void TryParse_AnythingElse_IsRefused(string text) => Assert.False(PeerAddress.TryParse(text, out _));
}
