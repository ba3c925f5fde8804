using LlamaCluster.Cluster.Rpc;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Cluster.Tests.Rpc;

public class OneLineFormatterTests
{
    [Theory]
    [InlineData("LlamaCluster.Worker.WorkerHost", "warn Worker.WorkerHost: two lines\n")]
    [InlineData("Microsoft.AspNetCore", "warn Microsoft.AspNetCore: two lines\n")]
    public void Write_AnEvent_IsOneLine(string category, string expected)
    {
        using var text = new StringWriter { NewLine = "\n" };
        var entry = new LogEntry<string>(LogLevel.Warning, category, default, "two\r\nlines", null, (state, _) => state);
        new OneLineFormatter(TimeProvider.System).Write(entry, null, text);
        Assert.Matches(@"^\d\d:\d\d:\d\d\.\d\d\d ", text.ToString());
        Assert.Equal(expected, text.ToString()[13..]);
    }

    [Fact]
    public void What_would_steer_a_terminal_is_written_as_an_escape()
    {
        using var text = new StringWriter { NewLine = "\n" };
        var entry = new LogEntry<string>(
            LogLevel.Warning, "LlamaCluster.Worker", default, "path /\u001b[2J\u0007\u0085\ud83d\ude00\t.", null, (state, _) => state);
        new OneLineFormatter(TimeProvider.System).Write(entry, null, text);
        Assert.Equal("warn Worker: path /\\u001b[2J\\u0007 \ud83d\ude00\\u0009.\n", text.ToString()[13..]);
    }

    [Fact]
    public void Write_InARequestScope_NamesTheRequestsAndNoOtherScope()
    {
        using var text = new StringWriter { NewLine = "\n" };
        var scopes = new LoggerExternalScopeProvider();
        using var web = scopes.Push("connection 7");
        using var request = scopes.Push(new RequestScope("a, b"));
        var entry = new LogEntry<string>(LogLevel.Error, "LlamaCluster.Worker", default, "failed", null, (state, _) => state);
        new OneLineFormatter(TimeProvider.System).Write(entry, scopes, text);
        Assert.Equal("fail Worker: failed [request a, b]\n", text.ToString()[13..]);
    }
}
