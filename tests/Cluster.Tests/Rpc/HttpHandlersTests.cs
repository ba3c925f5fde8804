using System.Net;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Cluster.Tests.Rpc;

public sealed class HttpHandlersTests
{
    static readonly Uri Proxy = new("http://proxy.example:3128");

    [Fact]
    public void Direct_UsesNoProxy()
    {
        using var handler = HttpHandlers.Direct();
        Assert.False(handler.UseProxy);
    }

    [Theory]
    [InlineData("http://127.0.0.1:8080")]
    [InlineData("http://127.3.2.1")]
    [InlineData("http://localhost:8080/v1/models")]
    [InlineData("http://LOCALHOST./")]
    [InlineData("http://llama.localhost")]
    [InlineData("http://[::1]:8080")]
    [InlineData("http://[::ffff:127.0.0.1]:8080")]
    [InlineData("http://0.0.0.0:8080")]
    [InlineData("http://[::]:8080")]
    [InlineData("https://localhost")]
    public void ForUsersAddress_ThisMachine_IsReachedWithoutTheProxy(string url)
    {
        using var handler = HttpHandlers.ForUsersAddress(new WebProxy(Proxy));
        Assert.True(handler.Proxy!.IsBypassed(new Uri(url)));
        Assert.Null(handler.Proxy.GetProxy(new Uri(url)));
    }

    [Theory]
    [InlineData("http://10.0.0.7:8080")]
    [InlineData("https://llama.example")]
    [InlineData("http://localhost.example")]
    [InlineData("http://[fd00::1]:8080")]
    public void ForUsersAddress_AnotherMachine_IsReachedAsTheUserSet(string url)
    {
        using var handler = HttpHandlers.ForUsersAddress(new WebProxy(Proxy));
        Assert.False(handler.Proxy!.IsBypassed(new Uri(url)));
        Assert.Equal(Proxy, handler.Proxy.GetProxy(new Uri(url)));
        using var excepting = HttpHandlers.ForUsersAddress(new WebProxy(Proxy, BypassOnLocal: false, ["."]));
        Assert.True(excepting.Proxy!.IsBypassed(new Uri(url)));
    }
}
