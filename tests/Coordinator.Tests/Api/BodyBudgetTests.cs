using System.Net;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Coordinator.Tests.Api;

public sealed class BodyBudgetTests : IDisposable
{
    readonly ManualTimeProvider _time = new();
    readonly BodyBudget _budget;

    public BodyBudgetTests() => _budget = new BodyBudget(_time, NullLogger<BodyBudget>.Instance);

    public void Dispose() => _budget.Dispose();

    [Fact]
    public void All_requests_together_hold_no_more_than_the_limit()
    {
        var leases = Enumerable.Range(0, ApiLimits.BodyBytesOfAll / ApiLimits.BodyBytes).Select(_ => _budget.Begin()).ToList();
        Assert.All(leases, lease => Assert.True(lease.TryGrow(ApiLimits.BodyBytes)));
        using var one = _budget.Begin();
        Assert.False(one.TryGrow(1));
        leases[3].Dispose();
        leases[3].Dispose();   // counts once
        Assert.True(one.TryGrow(ApiLimits.BodyBytes));
        using var another = _budget.Begin();
        Assert.False(another.TryGrow(1));
    }

    [Fact]
    public void A_share_that_cannot_grow_keeps_what_it_has()
    {
        using var large = _budget.Begin();
        using var small = _budget.Begin();
        Assert.True(small.TryGrow(100));
        Assert.True(large.TryGrow(ApiLimits.BodyBytesOfAll - 100));
        Assert.False(small.TryGrow(101));
        Assert.True(small.TryGrow(100));
        large.Dispose();
        Assert.True(small.TryGrow(101));
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(8, 1)]
    public void Memory_is_given_back_when_a_flood_of_large_bodies_is_over(int bodies, int collections)
    {
        for (var i = 0; i < bodies; i++)
            using (var lease = _budget.Begin())
                Assert.True(lease.TryGrow(ApiLimits.BodyBytes));
        Assert.Equal(collections, _time.SetTimers);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(0, _time.SetTimers);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_beyond_the_limit_is_answered_503_and_a_stream_holds_nothing(bool saysItsLength)
    {
        await using var api = await ApiHost.StartAsync();
        using var lease = api.Bodies.Begin();
        Assert.True(lease.TryGrow(ApiLimits.BodyBytesOfAll - 10));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/tokenize") { Content = ApiHost.JsonContent("""{"prompt":"Once upon a time"}""") };
        request.Headers.TransferEncodingChunked = !saysItsLength;
        using var refused = await api.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Contains("too large together", await refused.Content.ReadAsStringAsync());
        lease.Dispose();
        await api.PostAsync("/tokenize", """{"prompt":"Once upon a time"}""", 200);
        Assert.True(api.Bodies.Begin().TryGrow(ApiLimits.BodyBytesOfAll));
    }
}
