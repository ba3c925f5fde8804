
namespace LlamaCluster.Cluster.Tests;

public class ListenAddressTests
{
    [Theory]
    [InlineData("http://127.0.0.1:0", "127.0.0.1:0", false)]
    [InlineData("http://localhost:7000", "127.0.0.1:7000", false)]
    [InlineData("http://0.0.0.0:7000", "0.0.0.0:7000", true)]
    [InlineData("http://[::]:7000", "[::]:7000", true)]
    [InlineData("http://[::1]:7000/", "[::1]:7000", false)]
    public void Parse_AnAddress_GivesTheEndPoint(string text, string endPoint, bool wildcard)
    {
        Assert.Null(ListenAddress.FirstProblem(text, tls: false));
        var address = ListenAddress.Parse(text);
        Assert.Equal(("http", endPoint, wildcard), (address.Scheme, address.EndPoint.ToString(), address.IsWildcard));
    }

    [Theory]
    [InlineData("127.0.0.1:7000", "must be like")]
    [InlineData("http://127.0.0.1:7000/path", "must be like")]
    [InlineData("ftp://127.0.0.1:7000", "must be like")]
    [InlineData("https://127.0.0.1:7000", "certificate")]
    [InlineData("http://example.org:7000", "IP address")]
    public void FirstProblem_OfAnythingElse_SaysWhatToWrite(string text, string named) => Assert.Contains(named, ListenAddress.FirstProblem(text, tls: false));

    [Fact]
    public void Https_IsForWhoHasACertificate_AndNothingElseIs()
    {
        Assert.Null(ListenAddress.FirstProblem("https://127.0.0.1:7000", tls: true));
        Assert.Equal("https", ListenAddress.Parse("https://127.0.0.1:7000").Scheme);
        Assert.Contains("like https://", ListenAddress.FirstProblem("http://127.0.0.1:7000", tls: true));
    }
}
