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
}
