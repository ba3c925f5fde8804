using System.Net;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1Alpha;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace LlamaCluster.Coordinator.Tests.Hosting;

public sealed class CoordinatorHostTests
{
    [Fact]
    public async Task Api_and_services_have_a_door_each()
    {
        await using var cluster = await TestCluster.StartAsync();
        using var http = new HttpClient { Timeout = WaitExtensions.Deadline };
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri(cluster.Host.ApiAddress, "/health"))).StatusCode);

        using var wrongDoor = new HttpRequestMessage(HttpMethod.Get, new Uri(cluster.Host.GrpcAddress, "/health"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        Assert.Equal(HttpStatusCode.NotFound, (await http.SendAsync(wrongDoor)).StatusCode);

        var service = new HttpRequestMessage(HttpMethod.Post, new Uri(cluster.Host.ApiAddress, "/llamacluster.v1.Membership/ListWorkers"));
        service.Content = new ByteArrayContent([0, 0, 0, 0, 0]) { Headers = { ContentType = new("application/grpc") } };
        Assert.Equal(HttpStatusCode.NotFound, (await http.SendAsync(service)).StatusCode);
    }

    [Fact]
    public async Task Random_bytes_are_hung_up_on_and_the_others_served()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { Workers = 1 });
        await cluster.JoinAsync();

        await RandomBytes.SendAsync(cluster.Host.GrpcAddress, connections: 100);
        await RandomBytes.SendAsync(cluster.Host.ApiAddress, connections: 100);

        var listed = await new Protos.Membership.MembershipClient(cluster.Channel).ListWorkersAsync(new ListWorkersRequest());
        Assert.Single(listed.Workers);
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/ready")).StatusCode);
    }

    [Fact]
    public async Task An_unknown_service_is_unimplemented_in_the_words_of_grpc()
    {
        await using var cluster = await TestCluster.StartAsync();
        var error = await Assert.ThrowsAsync<RpcException>(
            () => new Assignments.AssignmentsClient(cluster.Channel).Assign(new AssignRequest()).ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(StatusCode.Unimplemented, error.StatusCode);
    }

    [Fact]
    public async Task Readiness_is_told_by_ready_and_by_the_health_service_alike()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { Workers = 1 });
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        var health = new Health.HealthClient(cluster.Channel);
        var watch = health.Watch(new HealthCheckRequest { Service = ClusterHealth.Ready });
        Assert.Equal(ServingStatus.NotServing, await NextAsync());
        var unready = await http.GetAsync("/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, unready.StatusCode);
        Assert.Contains("waiting for workers: 0 of 1 are here", await unready.Content.ReadAsStringAsync());

        await cluster.JoinAsync();
        Assert.Equal(ServingStatus.Serving, await NextAsync());
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/ready")).StatusCode);

        await cluster.Workers[0].DieAsync();
        Assert.Equal(ServingStatus.NotServing, await NextAsync());
        Assert.Contains("worker worker0 (", await (await http.GetAsync("/ready")).Content.ReadAsStringAsync());

        async Task<ServingStatus> NextAsync()
        {
            Assert.True(await watch.ResponseStream.MoveNext(CancellationToken.None).Soon());
            return watch.ResponseStream.Current.Status;
        }
    }

    [Fact]
    public void A_model_that_is_none_is_refused_before_anything_starts()
        => Assert.Throws<ModelFormatException>(() => CoordinatorHost.Create(TestCluster.Options with { ModelPath = "/no/such/model.gguf" }));

    [Fact]
    public void So_is_an_option_out_of_range()
        => Assert.Throws<InvalidOptionsException>(() => CoordinatorHost.Create(TestCluster.Options with { ContextLength = 100_000 }));

    [Fact]
    public async Task A_port_that_is_taken_is_an_io_error()
    {
        await using var cluster = await TestCluster.StartAsync();
        await using var second = CoordinatorHost.Create(TestCluster.Options with { Listen = cluster.Host.ApiAddress.ToString() });
        await Assert.ThrowsAsync<IOException>(() => second.StartAsync().Soon());
    }

    [Fact]
    public async Task A_request_over_http_runs_through_the_workers()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        var answer = await http.PostAsync(
            "/v1/completions",
            new StringContent($$"""{"model":"{{cluster.Host.Model.Name}}","prompt":[5,6,7],"max_tokens":8,"temperature":0}""", null, "application/json"));
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, body);
        Assert.Contains("\"completion_tokens\":8", body);
    }

    [Theory]
    [InlineData("")]
    [InlineData(""","max_tokens":100000""")]
    public async Task Where_the_KV_cache_holds_less_than_one_context_requests_get_what_there_is(string more)
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { Workers = 1 });
        await cluster.JoinAsync(worker => worker.KvBlocks = 4);
        await cluster.ReadyAsync();
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        var request = $$"""{"prompt":[5,6,7],"temperature":0,"ignore_eos":true{{more}}}""";
        var answer = await http.PostAsync("/v1/completions", new StringContent(request, null, "application/json"));
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, body);
        Assert.Contains("\"total_tokens\":64", body);
        Assert.Contains("\"max_model_len\":64", await http.GetStringAsync("/v1/models"));
    }

    [Fact]
    public async Task Connections_streams_and_slow_requests_have_limits()
    {
        await using var host = CoordinatorHost.Create(TestCluster.Options);
        var limits = host.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value.Limits;
        Assert.Equal(
            (ConnectionLimits.OfCoordinator.Most, RpcSettings.MaxStreamsPerConnection),
            (limits.MaxConcurrentConnections, limits.Http2.MaxStreamsPerConnection));
        Assert.Equal((ConnectionLimits.OfCoordinator.Headers, ConnectionLimits.OfCoordinator.Idle), (limits.RequestHeadersTimeout, limits.KeepAliveTimeout));
    }

    [Fact]
    public async Task There_is_one_clock_for_all_services()
    {
        var clock = new ManualTimeProvider();
        await using var host = CoordinatorHost.Create(TestCluster.Options, clock);
        Assert.Same(clock, Assert.Single(host.Services.GetServices<TimeProvider>()));
    }

    [Fact]
    public async Task An_option_out_of_range_also_stops_a_start()
    {
        var services = new ServiceCollection().AddValidated(TestCluster.Options with { Workers = 0 });
        await using var provider = services.BuildServiceProvider();
        var error = Assert.Throws<OptionsValidationException>(provider.GetRequiredService<IStartupValidator>().Validate);
        Assert.Equal("--workers is 0; it must be from 1 to 1024", error.Message);
    }

    [Fact]
    public async Task Reflection_is_not_there_unless_it_was_asked_for()
    {
        await using var cluster = await TestCluster.StartAsync();
        using var call = new ServerReflection.ServerReflectionClient(cluster.Channel).ServerReflectionInfo();
        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.Equal(StatusCode.Unimplemented, error.StatusCode);
    }
}
