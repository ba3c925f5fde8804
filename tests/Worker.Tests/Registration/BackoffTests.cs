using LlamaCluster.Worker.Registration;

namespace LlamaCluster.Worker.Tests.Registration;

public class BackoffTests
{
    [Fact]
    public void Next_AgainAndAgain_DoublesUpToFiveSeconds()
    {
        var backoff = new Backoff(new Random(1));
        foreach (var most in new[] { 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5 })
            Assert.InRange(backoff.Next().TotalSeconds, 0.8 * most, most);
        backoff.Reset();
        Assert.InRange(backoff.Next().TotalSeconds, 0.16, 0.2);
    }
}
