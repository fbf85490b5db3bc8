"""The demo: five agents classify the files of a folder with Magika's model, and every number is checked."""
