using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Text;
using LlamaCluster.Text.Templates;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>How messages become a prompt, and where that is done.</summary>
public sealed class PromptEncodingTests : IDisposable
{
    readonly ServiceProvider _services = new ServiceCollection().AddMetrics().AddSingleton<CoordinatorMetrics>().BuildServiceProvider();

    const string Endless = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";

    const string PartsOnly =
        "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}";

    [Theory]
    [InlineData("\"Hello there friend\"")]
    [InlineData("[{\"type\":\"text\",\"text\":\"Hello there friend\"}]")]
    public async Task ATemplateThatGoesThroughPartsLosesNoWords(string content)
    {
        await using var host = await ApiHost.StartAsync(With(PartsOnly));

        var tokens = (await host.PostAsync("/tokenize", $$"""{"messages":[{"role":"user","content":{{content}}}]}""", 200)).GetProperty("tokens");

        Assert.Equal("<user>Hello there friend", DemoModel.Text.Tokenizer.DecodeText(tokens.Deserialize<int[]>(), includeControl: true));
    }

    [Fact]
    public async Task ATemplateThatCannotBeReadIsGivenAsTheReason()
    {
        await using var host = await ApiHost.StartAsync(DemoModel.Served with { Template = null, TemplateProblem = "chat template, line 1: unexpected '}'" });

        var error = (await host.PostAsync("/v1/chat/completions", Requests.Chat(), 400)).GetProperty("error");

        Assert.Equal(
            "The chat template of the model 'demo' cannot be read (chat template, line 1: unexpected '}'); use /v1/completions, or mend the template.",
            error.GetProperty("message").GetString());
        Assert.Equal("messages", error.GetProperty("param").GetString());
    }

    [Fact]
    public async Task ARenderingEndsWhenItsTimeIsOver()
    {
        await using var host = await ApiHost.StartAsync(With(Endless), new WatchedTime(secondsBetweenLooks: 1));

        var error = (await host.PostAsync("/tokenize", Requests.Chat(), 400)).GetProperty("error");

        Assert.Equal("The model's chat template does not take these messages: takes longer than 10 seconds", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task ARenderingEndsWhenItsRequestIsGoneAndLeavesThePoolsThreadsAlone()
    {
        using var gone = new CancellationTokenSource();
        var looks = new List<bool>();
        var time = new WatchedTime(secondsBetweenLooks: 0, onLook: () =>
        {
            looks.Add(Thread.CurrentThread.IsThreadPoolThread);
            if (looks.Count == 3) gone.Cancel();
        });
        var model = With(Endless);
        using var encoder = new PromptEncoder(model, new ApiOptions(), _services.GetRequiredService<CoordinatorMetrics>(), time);
        var prompt = new RawPrompt.Chat(new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Hi" }), AddGenerationPrompt: true);

        var encoding = encoder.TokenizeAsync(model, prompt, addSpecialTokens: false, gone.Token);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => encoding.WaitAsync(ApiHost.Deadline));
        Assert.Equal([false, false, false], looks);
    }

    /// <summary>However many prompts compute, what else the coordinator does has threads to do it on.</summary>
    [Fact]
    public async Task RenderingsThatDoNotEndLeaveHealthAlone()
    {
        using var answered = new ManualResetEventSlim();
        var time = new WatchedTime(secondsBetweenLooks: 1, onLook: () =>
        {
            if (!Thread.CurrentThread.IsThreadPoolThread) Assert.True(answered.Wait(ApiHost.Deadline));
        });
        await using var host = await ApiHost.StartAsync(With(Endless), time);
        var hostile = Enumerable.Range(0, 44).Select(_ => host.PostAsync("/v1/chat/completions", Requests.Chat())).ToList();

        await host.GetAsync("/health", 200);
        Assert.DoesNotContain(hostile, request => request.IsCompleted);
        answered.Set();

        foreach (var response in await Task.WhenAll(hostile).WaitAsync(ApiHost.Deadline)) Assert.Equal(400, (int)response.StatusCode);
    }

    [Fact]
    public async Task ThePlaceOfAnEndedRenderingIsFree()
    {
        var model = With("{{ raise_exception('no') }}");
        using var encoder = new PromptEncoder(model, new ApiOptions(), _services.GetRequiredService<CoordinatorMetrics>(), TimeProvider.System);
        var prompt = new RawPrompt.Chat(new JsonArray(), AddGenerationPrompt: true);

        for (var i = 0; i < 3 * ApiLimits.EncodingsAtATime; i++)
        {
            var outcome = await encoder.TokenizeAsync(model, prompt, addSpecialTokens: false, CancellationToken.None).WaitAsync(ApiHost.Deadline);
            Assert.True(outcome.Failed(out var error, out _));
            Assert.EndsWith(": no", error.Message);
        }
    }

    public void Dispose() => _services.Dispose();

    static ServedModel With(string template) => DemoModel.Served with { Template = ChatTemplate.Parse(template) };

    /// <summary>A clock that tells a test when it is looked at.</summary>
    sealed class WatchedTime(long secondsBetweenLooks, Action? onLook = null) : TimeProvider
    {
        long _seconds;

        public override long TimestampFrequency => 1;

        public override long GetTimestamp()
        {
            onLook?.Invoke();
            return Interlocked.Add(ref _seconds, secondsBetweenLooks);
        }
    }
}
