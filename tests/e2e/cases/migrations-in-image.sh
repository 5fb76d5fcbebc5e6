# migrations.source image, the default: an image made from Lockkeeper's with /migrations in it.
[[ -n $MIGRATIONS_IMAGE ]] || not_on_this_server 'MIGRATIONS_IMAGE is not set (README.md says how to make it)'
values "del(.migrations) | .image = $(image_values "$MIGRATIONS_IMAGE")"
release_ok 'install'
expect 'history' 20250520000000 "$(applied)"
