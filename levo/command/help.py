"""What `levo --help` says beside the options: what goes in, examples, and the exit status."""

USAGE = """\
%(prog)s [options] SONGS OUT
       %(prog)s report [--json] OUT"""
ABOUT = """\
Makes the songs of a list: one FLAC or WAV each in the folder OUT, and a line for each in OUT/results.jsonl.
SONGS is a text file with one JSON object a line, as the published code reads them:

  {"idx": "my_song", "gt_lyric": "[verse] Hello there ; [chorus] La la la", "descriptions": "female, pop"}

and, where wanted, "prompt_audio_path" (a sound file in the list's folder) or "auto_prompt_audio_type" (a
style of --library). The word `example` stands for a built-in list of two songs. Without weights the
built-in demo models are used: they are small, run anywhere, and sing nonsense."""
EPILOG = """\
examples:
  %(prog)s example out                               tries it, with the demo models
  %(prog)s songs.jsonl out --lelm m/model.pt --renderer m/model_2.safetensors \\
      --vae m/autoencoder_music_1320k.ckpt --vocabulary m/qwen --low-memory
  %(prog)s songs.jsonl out ... --kind separate       each song, its vocals and its accompaniment
  %(prog)s songs.jsonl out ... --ray --workers 2     two workers of a Ray cluster, here or elsewhere
  %(prog)s report out                                a table of what was asked for and what came of it

Songs that are finished are not made again, whatever the options are: to go on after a stop (Ctrl-C) or a
crash, run the same command; for another kind or seed name another OUT, or give --again. A song that cannot
be made is a line in results.jsonl, and the others are made.

exit status: 0 all songs of the list are made, or as many as --songs-a-run says; 1 some are not; 2 nothing
was made, or a song could not be saved, and one sentence says why; 130 or 143 stopped by Ctrl-C or by
SIGTERM."""
