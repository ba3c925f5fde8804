using System.Text.Json.Nodes;
using LlamaCluster.Cli.Hub;
using LlamaCluster.Cluster.Hub;
using LlamaCluster.Coordinator;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Hub;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Cli.Tests.Hub;

public sealed class HubModelsTests : IDisposable
{
    readonly TempFolder _folder = new();
    readonly ImpatientTime _time = new();

    string Cache => _folder.File("hub");

    [Fact]
    public async Task A_model_in_parts_is_pulled_once_and_can_be_opened()
    {
        await using var hub = await FakeHub.StartAsync(Parts());
        var pulled = await PullAsync(hub, "hf://org/model:Q8_0");

        using var model = ModelFiles.Open(pulled.Path);
        Assert.Equal(SyntheticModel.Small.Config, model.Config);
        Assert.Equal(("model-Q8_0-00001-of-00003.gguf", FakeHub.Commit), (Path.GetFileName(pulled.Path), pulled.Commit));
        Assert.Equal(3, hub.Reads.Count);

        await PullAsync(hub, "hf://org/model");
        Assert.Equal(3, hub.Reads.Count);
        Assert.Equal(FakeHub.Commit, File.ReadAllText(Path.Combine(Cache, "models--org--model", "refs", "main")));
    }

    [Fact]
    public async Task What_was_pulled_needs_no_hub_until_a_file_is_lost()
    {
        var reference = HubReference.Parse("hf://org/model:Q8_0");
        string path;
        await using (var hub = await FakeHub.StartAsync(Parts())) path = (await PullAsync(hub, $"{reference}")).Path;

        var nowhere = new HubSettings(null, null, Cache);
        Assert.Equal(path, HubModels.PathOf(reference, nowhere, View()));
        File.Delete(path);
        var error = Assert.Throws<InvalidOptionsException>(() => HubModels.PathOf(reference, nowhere, View()));
        Assert.Contains("--hub URL, or HF_ENDPOINT", error.Message);
    }

    [Fact]
    public async Task Commands_take_a_model_of_a_hub_where_they_take_a_path()
    {
        Environment.SetEnvironmentVariable("HF_HUB_CACHE", Cache);
        string[] model = ["--model", "hf://org/model:Q8_0"];
        await using (var hub = await FakeHub.StartAsync(Parts()))
            Assert.Equal(
                3, JsonNode.Parse((await CommandRun.OfAsync("", ["inspect", "--json", "--hub", hub.Url, .. model])).Output)!["layers"]!.GetValue<int>());

        var again = await CommandRun.OfAsync("", ["inspect", .. model]);
        Assert.Equal((0, ""), (again.ExitCode, again.Error));
        Environment.SetEnvironmentVariable("HF_HUB_CACHE", null);
    }

    [Theory]
    [InlineData("--weights-from hub is for models of a hub: give --model hf://ORG/REPO", "--model", "model.gguf")]
    [InlineData("--weights-from hub and --quantize exclude each other", "--model", "hf://org/model", "--quantize", "q8_0")]
    public async Task Weights_come_from_a_hub_only_where_it_has_them_as_they_are(string problem, params string[] model)
    {
        var run = await CommandRun.OfAsync("", ["coordinator", "--weights-from", "hub", "--hub", "http://127.0.0.1:1", .. model]);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(problem, run.Error);
    }

    [Fact]
    public async Task A_folder_has_its_config_tokenizer_and_weights()
    {
        var written = SyntheticModel.Small.WriteHuggingFace(_folder.File("written"), shards: 2);
        var files = Directory.GetFiles(written).Select(file => (Path.GetFileName(file), File.ReadAllBytes(file)));
        await using var hub = await FakeHub.StartAsync(
            [.. files, ("README.md", [1]), ("original/consolidated.00.pth", [2]), ("consolidated.safetensors", [3])]);
        var pulled = await PullAsync(hub, "hf://org/model");

        using var model = ModelFiles.Open(pulled.Path);
        Assert.Equal(SyntheticModel.Small.Config, model.Config);
        Assert.Equal(Directory.GetFiles(written).Select(Path.GetFileName).Order(), pulled.Files.Select(file => file.Name).Order());
    }

    [Fact]
    public async Task What_broke_off_goes_on_where_it_was()
    {
        await using var hub = await FakeHub.StartAsync(One(400_000));
        hub.Cuts.Enqueue(150_000);
        hub.Cuts.Enqueue(50_000);
        await PullAsync(hub, "hf://org/model");

        Assert.Equal(One(400_000).Content, File.ReadAllBytes(Found("one.gguf")));
        Assert.Equal([0, 150_000, 200_000], hub.Reads.Select(read => read.From));
    }

    [Theory]
    [InlineData(true, 2)]
    [InlineData(false, 1)]
    public async Task What_an_earlier_pull_left_is_gone_on_with_unless_it_is_damaged(bool isDamaged, int reads)
    {
        var file = One(300_000);
        await using var hub = await FakeHub.StartAsync(file);
        var partial = $"{BlobOf(file.Content)}.incomplete";
        Directory.CreateDirectory(Path.GetDirectoryName(partial)!);
        File.WriteAllBytes(partial, [.. file.Content[..99_999], isDamaged ? (byte)~file.Content[99_999] : file.Content[99_999]]);
        await PullAsync(hub, "hf://org/model");

        Assert.Equal(file.Content, File.ReadAllBytes(Found("one.gguf")));
        Assert.Equal((reads, 100_000L), (hub.Reads.Count, hub.Reads[0].From));
    }

    [Fact]
    public async Task A_hub_that_knows_no_parts_is_read_from_the_beginning()
    {
        await using var hub = await FakeHub.StartAsync(One(400_000));
        hub.KnowsParts = false;
        hub.Cuts.Enqueue(150_000);
        await PullAsync(hub, "hf://org/model");

        Assert.Equal(One(400_000).Content, File.ReadAllBytes(Found("one.gguf")));
    }

    [Fact]
    public async Task Other_bytes_than_the_hash_says_are_no_file()
    {
        await using var hub = await FakeHub.StartAsync(One(1000));
        hub.Change = content => [.. content[..^1], (byte)~content[^1]];
        var error = await RefusedAsync(hub, "hf://org/model");

        Assert.Contains("one.gguf came with another hash than the hub says, twice", error);
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(BlobOf([]))!));
        hub.Change = content => [.. content, 0];
        Assert.Contains("one.gguf is longer than the 1000 bytes that the hub says", await RefusedAsync(hub, "hf://org/model"));
    }

    [Fact]
    public async Task A_token_is_shown_to_the_hub_alone()
    {
        await using var hub = await FakeHub.StartAsync(One(1000));
        hub.Token = "secret";
        Assert.Contains("not for everybody (401): give a token, --token-file FILE or HF_TOKEN", await RefusedAsync(hub, "hf://org/model"));
        Assert.Contains("does not know the token (401)", await RefusedAsync(hub, "hf://org/model", token: "other"));

        await PullAsync(hub, "hf://org/model", token: "secret");
        Assert.False(hub.TokenLeaked);
    }

    [Fact]
    public async Task Refusals_say_what_to_do()
    {
        await using var hub = await FakeHub.StartAsync(One(1000));
        Assert.Contains("hf://org/other: there is no such model (404)", await RefusedAsync(hub, "hf://org/other"));
        Assert.Contains("hf://org/model@v2: there is no such revision (404)", await RefusedAsync(hub, "hf://org/model@v2"));
        hub.IsGated = true;
        Assert.Contains("hf://org/model is gated (403): accept its terms", await RefusedAsync(hub, "hf://org/model"));
    }

    [Fact]
    public async Task Too_many_requests_are_tried_again_after_as_long_as_the_hub_says()
    {
        await using var hub = await FakeHub.StartAsync(One(1000));
        hub.Refusals = 3;
        await PullAsync(hub, "hf://org/model");

        Assert.Equal(3, _time.Waits.Count(wait => wait == TimeSpan.FromSeconds(7)));
    }

    [Fact]
    public async Task A_hub_that_goes_on_refusing_or_wants_a_long_wait_is_given_up()
    {
        await using var hub = await FakeHub.StartAsync(One(1000));
        hub.Refusals = int.MaxValue;
        Assert.Contains("has had too many requests (429); tried 8 times", await RefusedAsync(hub, "hf://org/model"));
        hub.RetryAfter = "3600";
        Assert.Contains("it wants to be asked again in 60 min: what was fetched is kept, pull again later", await RefusedAsync(hub, "hf://org/model"));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("""{"sha": "../../x", "siblings": []}""")]
    [InlineData("no json")]
    public async Task What_is_no_list_of_files_is_refused(string list)
    {
        await using var hub = await FakeHub.StartAsync(One(1000));
        hub.List = _ => list;
        Assert.Contains("is no list of a model's files", await RefusedAsync(hub, "hf://org/model"));
    }

    [Theory]
    [InlineData("../../evil.gguf")]
    [InlineData("/etc/evil.gguf")]
    [InlineData("a/../../evil.gguf")]
    [InlineData("a\\evil.gguf")]
    public async Task Names_that_lead_out_of_the_folder_are_not_taken(string name)
    {
        await using var hub = await FakeHub.StartAsync(One(1000));
        hub.List = list =>
        {
            list["siblings"]![0]!["rfilename"] = name;
            return list.ToJsonString();
        };
        Assert.Contains("it is no model that can be run", await RefusedAsync(hub, "hf://org/model"));
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Of a model of random weights, beside one of another type.</summary>
    (string Name, byte[] Content)[] Parts()
    {
        SyntheticModel.Small.WriteGguf(_folder.File("model-Q8_0.gguf"), parts: 3);
        return [.. Directory.GetFiles(_folder.Path, "model-Q8_0-*").Select(file => (Path.GetFileName(file), File.ReadAllBytes(file)))];
    }

    static (string Name, byte[] Content) One(int bytes)
    {
        var content = new byte[bytes];
        new Random(1).NextBytes(content);
        return ("one.gguf", content);
    }

    string Found(string name) => Path.Combine(Cache, "models--org--model", "snapshots", FakeHub.Commit, name);

    string BlobOf(byte[] content) =>
        Path.Combine(Cache, "models--org--model", "blobs", Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content)));

    Task<PulledModel> PullAsync(FakeHub hub, string model, string? token = null)
    {
        var settings = new HubSettings(new Uri($"{hub.Url}/"), token, Cache);
        return Task.Run(() => HubModels.Pull(HubReference.Parse(model), settings, _time, View(), CancellationToken.None)).WaitAsync(CommandRun.Deadline);
    }

    async Task<string> RefusedAsync(FakeHub hub, string model, string? token = null)
    {
        var error = await Assert.ThrowsAsync<HubException>(() => PullAsync(hub, model, token));
        Assert.DoesNotContain('\n', error.Message);
        return error.Message;
    }

    static PullView View() => new(TextWriter.Null, (_, _, _, work) => work(null));
}
